/**
 * Debian's etcd as a peer, and h2load, which loads any gRPC server with one unary request. Not a
 * comparison of the two stores' other work: etcd keeps versions, a single member replicates nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasProgram } from "../../test/support/requires.js";
import { within } from "../../test/support/within.js";
import type { BenchContext } from "../harness.js";
import { LOADER_CORE, outputOf, pinned, SERVER_CORE, usageOf } from "./processes.js";

/** Returns whether etcd and h2load are installed; says so if not. */
export function hasPeers(bench: string): boolean {
  const missing = ["etcd", "h2load"].filter((program) => !hasProgram(program));
  if (missing.length > 0) console.log(`${bench}: SKIP peers, needs ${missing.join(" and ")}`);
  return missing.length === 0;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = address !== null && typeof address === "object" ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** What a server used so far. */
export interface Usage {
  readonly cpuUs: number;
  readonly rss: number;
  readonly syncs: number;
}

/** Returns the counts of one load, for people. */
export function countsOf(perSecond: number, requests: number, before: Usage, after: Usage): string {
  return (
    `${Math.round(perSecond)}/s, ` +
    `server CPU ${((after.cpuUs - before.cpuUs) / requests).toFixed(2)} us/op, ` +
    `${((after.syncs - before.syncs) / requests).toFixed(4)} syncs/op, ` +
    `RSS ${Math.round(after.rss / 1e6)} MB`
  );
}

export interface Etcd {
  readonly port: number;
  stats(): Promise<Usage>;
  stop(): Promise<void>;
}

/** Starts a single member on free ports, with its default settings, and waits until it serves. */
export async function startEtcd(): Promise<Etcd> {
  const directory = mkdtempSync(join(tmpdir(), "rutile-bench-etcd-"));
  const [port, peer] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
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
  const etcd = pinned(SERVER_CORE, "etcd", flags.flat(), {}, "ignore");
  etcd.stdout?.resume();
  const stop = async (): Promise<void> => {
    const ended = new Promise((resolve) => etcd.once("exit", resolve));
    etcd.kill();
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  const isServing = (): Promise<boolean> =>
    fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    );
  await within(20_000, "etcd to serve", isServing).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const stats = async (): Promise<Usage> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const syncs = /^etcd_disk_wal_fsync_duration_seconds_count (\d+)/m.exec(text)?.[1];
    return { ...usageOf(etcd.pid), syncs: Number(syncs ?? 0) };
  };
  return { port, stats, stop };
}

/** A unary call whose request never changes. */
export interface UnaryCall {
  readonly port: number;
  readonly path: string;
  /** The request message. */
  readonly body: Uint8Array;
}

function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const GRPC_HEADERS = { "content-type": "application/grpc", te: "trailers" };

/** Calls once and returns the response message; rejects when the status is not OK. */
export function callOnce({ port, path, body }: UnaryCall): Promise<Buffer> {
  const session = connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ":method": "POST", ":path": path, ...GRPC_HEADERS });
  const chunks: Buffer[] = [];
  let status: unknown;
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("trailers", (trailers) => {
    status = trailers["grpc-status"];
  });
  stream.end(framed(body));
  return new Promise((resolve, reject) => {
    session.on("error", reject);
    stream.on("error", reject).on("end", () => {
      session.close();
      if (status === "0") resolve(Buffer.concat(chunks).subarray(5));
      else reject(new Error(`${path} ended with status ${String(status)}`));
    });
  });
}

export interface UnaryLoad extends UnaryCall {
  readonly inFlight: number;
  readonly connections: number;
}

/** Keeps `inFlight` calls open for some seconds. */
export async function h2load(
  { mode }: BenchContext,
  { port, path, body, inFlight, connections }: UnaryLoad,
): Promise<{ perSecond: number; requests: number }> {
  const directory = mkdtempSync(join(tmpdir(), "rutile-bench-h2load-"));
  try {
    const file = join(directory, "body.bin");
    writeFileSync(file, framed(body));
    const text = await outputOf(LOADER_CORE, "h2load", [
      ...["-c", String(connections), "-m", String(inFlight / connections)],
      ...(mode === "smoke" ? ["-n", String(inFlight)] : ["-D", "4"]),
      ...Object.entries(GRPC_HEADERS).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
      ...["-d", file, `http://127.0.0.1:${port}${path}`],
    ]);
    const perSecond = Number(/([\d.]+) req\/s/.exec(text)?.[1] ?? 0);
    const requests = Number(/ (\d+) succeeded/.exec(text)?.[1] ?? 0);
    if (requests === 0) throw new Error(`h2load of ${path} got no answer:\n${text}`);
    return { perSecond, requests };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
