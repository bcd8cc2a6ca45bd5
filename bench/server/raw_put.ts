/**
 * RawPut over BatchCommands, answered after the sync, with 64 and 512 requests in flight, against
 * etcd's Put (h2load, one key, as many in flight) where etcd and h2load are installed.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EngineBinding, librocksdbPresent } from "../../src/engine/index.js";
import { etcdserverpb } from "../../src/pb/index.js";
import { hasProgram } from "../../test/support/requires.js";
import { within } from "../../test/support/within.js";
import type { BenchContext, Report } from "../harness.js";
import { keyAt, valueAt } from "./data.js";
import { figure, keysOf, loadRounds } from "./loads.js";
import { pinned, startStoreProcess } from "./processes.js";

const IN_FLIGHT = [
  { inFlight: 64, connections: 4 },
  { inFlight: 512, connections: 8 },
] as const;

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = address !== null && typeof address === "object" ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

function output(core: string, command: string, args: readonly string[]): Promise<string> {
  const child = pinned(core, command, args);
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return new Promise((resolve) => child.once("close", () => resolve(text)));
}

async function etcdPuts(context: BenchContext): Promise<Report[]> {
  const directory = mkdtempSync(join(tmpdir(), "rutile-bench-etcd-"));
  const [client, peer] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const flags = [
    ["--data-dir", join(directory, "data")],
    ["--listen-client-urls", url],
    ["--advertise-client-urls", url],
    ["--listen-peer-urls", peerUrl],
    ["--initial-advertise-peer-urls", peerUrl],
    ["--initial-cluster", `default=${peerUrl}`],
    ["--logger", "zap"],
    ["--log-level", "fatal"],
  ];
  const etcd = pinned("0", "etcd", flags.flat(), {}, "ignore");
  etcd.stdout?.resume();
  try {
    await within(20_000, "etcd to serve", () =>
      fetch(`${url}/health`).then(
        (response) => response.ok,
        () => false,
      ),
    );
    const message = etcdserverpb.PutRequest.encode({ key: keyAt(1), value: valueAt(1) }).finish();
    const body = join(directory, "put.bin");
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    writeFileSync(body, Buffer.concat([head, message]));
    const reports: Report[] = [];
    for (const { inFlight, connections } of IN_FLIGHT) {
      const text = await output("1", "h2load", [
        ...["-c", String(connections), "-m", String(inFlight / connections)],
        ...["-D", context.mode === "smoke" ? "1" : "5"],
        ...["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", body],
        `${url}/etcdserverpb.KV/Put`,
      ]);
      const perSecond = Number(/([\d.]+) req\/s/.exec(text)?.[1] ?? 0);
      reports.push(figure(`RawPut ${inFlight} in flight`, "etcd Put", [perSecond], "-"));
    }
    return reports;
  } finally {
    const ended = new Promise((resolve) => etcd.once("exit", resolve));
    etcd.kill();
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const reports: Report[] = [];
  if (hasProgram("etcd") && hasProgram("h2load")) reports.push(...(await etcdPuts(context)));
  else console.log("RawPut: etcd or h2load is missing, nothing to compare with");
  const binding: EngineBinding = librocksdbPresent() ? "librocksdb" : "memory";
  const { child, address } = await startStoreProcess(binding, keysOf(context));
  try {
    for (const { inFlight, connections } of IN_FLIGHT) {
      for (const perMessage of [inFlight / connections, 1]) {
        const series = {
          name: `RawPut ${inFlight} in flight`,
          series: perMessage === 1 ? "1 a message" : "batched",
          kind: "put" as const,
          perMessage,
          window: inFlight / connections / perMessage,
          connections,
        };
        reports.push(await loadRounds(context, series, address, child));
      }
    }
  } finally {
    await child.stop();
  }
  return reports;
}
