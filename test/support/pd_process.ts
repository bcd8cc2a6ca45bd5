/** A PD in a process of its own, for tests that kill it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { PdTestClient } from "./pd.js";

const CHILD = fileURLToPath(new URL("./pd_child.js", import.meta.url));
const GC_LEADER_CHILD = fileURLToPath(new URL("./gc_leader_child.js", import.meta.url));

export interface PdProcess {
  readonly process: ChildProcess;
  readonly client: PdTestClient;
  readonly clusterId: bigint;
}

/** Starts a PD on `dataDir`, its clock off by so much, and waits until it serves. */
export async function spawnPd(dataDir: string, clockOffsetMs: number): Promise<PdProcess> {
  const [started] = await start(CHILD, [dataDir, String(clockOffsetMs)]);
  return started;
}

/**
 * Starts a PD with its GC leader, see gc_leader_child.ts. `next` resolves with the next line that it
 * prints; a byte to its input starts a round.
 */
export async function spawnGcLeader(
  dataDir: string,
  mode: "hang" | "run",
): Promise<PdProcess & { next(): Promise<string> }> {
  const [started, lines] = await start(GC_LEADER_CHILD, [dataDir, mode]);
  const next = async (): Promise<string> => String((await lines.next()).value ?? "");
  return { ...started, next };
}

async function start(
  file: string,
  args: readonly string[],
): Promise<[PdProcess, AsyncIterator<string>]> {
  const child = spawn(process.execPath, [file, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await lines.next();
    if (done === true) throw new Error("the PD ended before it was ready");
    const [word, address = "", clusterId = ""] = value.split(" ");
    if (word !== "READY") continue;
    const id = BigInt(clusterId);
    const client = new PdTestClient(address, id);
    return [{ process: child, client, clusterId: id }, lines];
  }
}
