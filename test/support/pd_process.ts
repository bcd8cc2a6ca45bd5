/** A PD in a process of its own, for tests that kill it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { PdTestClient } from "./pd.js";

const CHILD = fileURLToPath(new URL("./pd_child.js", import.meta.url));

export interface PdProcess {
  readonly process: ChildProcess;
  readonly client: PdTestClient;
  readonly clusterId: bigint;
}

/** Starts a PD on `dataDir`, its clock off by so much, and waits until it serves. */
export async function spawnPd(dataDir: string, clockOffsetMs: number): Promise<PdProcess> {
  const child = spawn(process.execPath, [CHILD, dataDir, String(clockOffsetMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, address = "", clusterId = ""] = line.split(" ");
    if (word !== "READY") continue;
    const id = BigInt(clusterId);
    return { process: child, client: new PdTestClient(address, id), clusterId: id };
  }
  throw new Error("the PD ended before it was ready");
}
