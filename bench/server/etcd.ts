/**
 * Debian's etcd as a peer, and h2load, which loads any gRPC server with one unary request. Not a
 * comparison of the two stores' other work: etcd keeps versions, a single member replicates nothing.
 */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasProgram } from "../../test/support/requires.js";
import { within } from "../../test/support/within.js";
import type { BenchContext } from "../harness.js";
import { ANY_CORE, LOADER_CORE, outputOf, pinned, SERVER_CORE, usageOf } from "./processes.js";

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

interface Member {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  readonly peerUrl: string;
  readonly process: ChildProcess;
}

function startMember(
  index: number,
  addresses: readonly { readonly port: number; readonly peer: number }[],
  directory: string,
  core: string,
): Member {
  const peerUrlOf = (peer: number): string => `http://127.0.0.1:${peer}`;
  const cluster = addresses.map(({ peer }, i) => `m${i}=${peerUrlOf(peer)}`).join(",");
  const { port, peer } = addresses[index] as { port: number; peer: number };
  const url = `http://127.0.0.1:${port}`;
  const peerUrl = peerUrlOf(peer);
  const flags = [
    ["--name", `m${index}`],
    ["--data-dir", join(directory, `m${index}`)],
    ["--listen-client-urls", url],
    ["--advertise-client-urls", url],
    ["--listen-peer-urls", peerUrl],
    ["--initial-advertise-peer-urls", peerUrl],
    ["--initial-cluster", cluster],
    ["--logger", "zap"],
    ["--log-level", "fatal"],
  ];
  const process = pinned(core, "etcd", flags.flat(), {}, "ignore");
  process.stdout?.resume();
  return { name: `m${index}`, url, port, peerUrl, process };
}

const isServing = ({ url }: Member): Promise<boolean> =>
  fetch(`${url}/health`).then(
    (response) => response.ok,
    () => false,
  );

const metricsOf = async ({ url }: Member): Promise<string> =>
  (await fetch(`${url}/metrics`)).text();

async function usageOfMember(member: Member): Promise<Usage> {
  const text = await metricsOf(member);
  const syncs = /^etcd_disk_wal_fsync_duration_seconds_count (\d+)/m.exec(text)?.[1];
  return { ...usageOf(member.process.pid), syncs: Number(syncs ?? 0) };
}

/**
 * Starts members on free ports, with default settings, and waits until all serve. A single one runs
 * on the servers' core; several run anywhere, as the stores that they are compared with. `port` is
 * the leader's.
 */
export async function startEtcd(members = 1): Promise<Etcd> {
  const directory = mkdtempSync(join(tmpdir(), "rutile-bench-etcd-"));
  const addresses: { port: number; peer: number }[] = [];
  for (let i = 0; i < members; i++) {
    addresses.push({ port: await freePort(), peer: await freePort() });
  }
  const core = members === 1 ? SERVER_CORE : ANY_CORE;
  const all = addresses.map((_, index) => startMember(index, addresses, directory, core));
  const stop = async (): Promise<void> => {
    const ended = all.map(({ process }) => new Promise((resolve) => process.once("exit", resolve)));
    for (const { process } of all) process.kill();
    await Promise.all(ended);
    rmSync(directory, { recursive: true, force: true });
  };
  const serves = async (): Promise<boolean> =>
    (await Promise.all(all.map(isServing))).every(Boolean);
  const leader = async (): Promise<Member | undefined> => {
    const texts = await Promise.all(all.map(metricsOf));
    return all[texts.findIndex((text) => /^etcd_server_is_leader 1$/m.test(text))];
  };
  try {
    await within(20_000, "etcd to serve", serves);
    await within(20_000, "etcd to have a leader", async () => (await leader()) !== undefined);
  } catch (error) {
    await stop();
    throw error;
  }
  const stats = async (): Promise<Usage> => sumOf(await Promise.all(all.map(usageOfMember)));
  return { port: ((await leader()) as Member).port, stats, stop };
}

/** Returns what several servers used together. */
export function sumOf(usages: readonly Usage[]): Usage {
  const sum = (field: keyof Usage): number => usages.reduce((total, one) => total + one[field], 0);
  return { cpuUs: sum("cpuUs"), rss: sum("rss"), syncs: sum("syncs") };
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
  /** Core of the loader. */
  readonly core?: string;
}

/** Keeps `inFlight` calls open for some seconds. */
export async function h2load(
  { mode }: BenchContext,
  { port, path, body, inFlight, connections, core = LOADER_CORE }: UnaryLoad,
): Promise<{ perSecond: number; requests: number }> {
  const directory = mkdtempSync(join(tmpdir(), "rutile-bench-h2load-"));
  try {
    const file = join(directory, "body.bin");
    writeFileSync(file, framed(body));
    const text = await outputOf(core, "h2load", [
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
