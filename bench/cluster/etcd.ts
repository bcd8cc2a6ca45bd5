/**
 * Three stores against three members of etcd, fsync on, equal requests in flight, everything on the
 * same two cores: puts of 100 bytes with 64 and 512 in flight, linearizable gets. Rounds of both
 * alternate, so that what disturbs the machine meets both.
 */
import { etcdserverpb } from "../../src/pb/index.js";
import type { BenchContext, Report } from "../harness.js";
import { keyAt, valueAt } from "../server/data.js";
import { type Etcd, h2load, hasPeers, startEtcd } from "../server/etcd.js";
import type { LoadJob, LoadKind } from "../server/job.js";
import { figure, keysOf, medianOf } from "../server/loads.js";
import { ANY_CORE, runLoad } from "../server/processes.js";
import { type BenchCluster, type ClusterUsage, startCluster } from "./stores.js";

const ROUNDS = 3;
const KEYS = 20_000;

interface Case {
  readonly name: string;
  readonly kind: Extract<LoadKind, "get" | "put">;
  readonly inFlight: number;
  readonly connections: number;
  /** Commands a message of ours. */
  readonly perMessage: number;
}

const CASES: readonly Case[] = [
  { name: "put 64 in flight", kind: "put", inFlight: 64, connections: 4, perMessage: 16 },
  { name: "put 512 in flight", kind: "put", inFlight: 512, connections: 8, perMessage: 64 },
  { name: "get 512 in flight", kind: "get", inFlight: 512, connections: 8, perMessage: 64 },
  { name: "get 512, 1 a message", kind: "get", inFlight: 512, connections: 8, perMessage: 1 },
];

function etcdCall({ kind }: Case): { path: string; body: Uint8Array } {
  if (kind === "put") {
    const put = etcdserverpb.PutRequest.encode({ key: keyAt(1), value: valueAt(1) });
    return { path: "/etcdserverpb.KV/Put", body: put.finish() };
  }
  const range = etcdserverpb.RangeRequest.encode({ key: keyAt(1) });
  return { path: "/etcdserverpb.KV/Range", body: range.finish() };
}

function perOp(before: ClusterUsage, after: ClusterUsage, ops: number): string {
  const each = (field: keyof ClusterUsage): string =>
    ((after[field] - before[field]) / ops).toFixed(3);
  return (
    `CPU ${each("cpuUs")} us/op, ${each("syncs")} syncs/op, ${each("messages")} messages/op in ` +
    `${each("frames")} frames/op, ${each("bytes")} bytes/op`
  );
}

async function loadEtcd(context: BenchContext, one: Case, etcd: Etcd): Promise<number> {
  const { inFlight, connections } = one;
  const call = { ...etcdCall(one), port: etcd.port, inFlight, connections, core: ANY_CORE };
  const before = await etcd.stats();
  const { perSecond, requests } = await h2load(context, call);
  const after = await etcd.stats();
  const cpu = ((after.cpuUs - before.cpuUs) / requests).toFixed(3);
  const syncs = ((after.syncs - before.syncs) / requests).toFixed(3);
  console.log(`${one.name} etcd: ${Math.round(perSecond)}/s, CPU ${cpu} us/op, ${syncs} syncs/op`);
  return perSecond;
}

async function loadStores(
  context: BenchContext,
  one: Case,
  cluster: BenchCluster,
): Promise<{ perSecond: number; hash: string }> {
  const { name, kind, inFlight, connections, perMessage } = one;
  const job: LoadJob = {
    ...(await cluster.leader()),
    path: "/tikvpb.Tikv/BatchCommands",
    kind,
    keys: keysOf(context, KEYS),
    perMessage,
    window: inFlight / connections / perMessage,
    connections,
    seconds: context.mode === "smoke" ? 0.5 : 4,
    echo: false,
    perCommand: 1,
    tsBase: "0",
  };
  const before = await cluster.stats();
  const result = await runLoad(job, ANY_CORE);
  const after = await cluster.stats();
  console.log(
    `${name} stores: ${Math.round(result.perSecond)}/s, p50 ${Math.round(result.p50Us)} us, ` +
      `p99 ${Math.round(result.p99Us)} us a message, ${perOp(before, after, result.responses)}`,
  );
  return result;
}

/** Writes every key once, so that gets find values. */
async function fill(context: BenchContext, cluster: BenchCluster): Promise<void> {
  const [, put] = CASES as [Case, Case];
  await loadStores(context, { ...put, name: "fill" }, cluster);
}

async function compare(
  context: BenchContext,
  one: Case,
  etcd: Etcd | undefined,
  cluster: BenchCluster,
): Promise<Report[]> {
  const theirs: number[] = [];
  const ours: number[] = [];
  const ratios: number[] = [];
  let hash = "-";
  for (let round = 0; round < (context.mode === "smoke" ? 1 : ROUNDS); round++) {
    const result = await loadStores(context, one, cluster);
    hash = result.hash;
    ours.push(result.perSecond);
    if (etcd === undefined) continue;
    theirs.push(await loadEtcd(context, one, etcd));
    ratios.push(result.perSecond / (theirs.at(-1) as number));
  }
  const reports = [figure(one.name, "three stores", ours, hash)];
  if (etcd === undefined) return reports;
  const shown = ratios.map((ratio) => ratio.toFixed(2)).join(" ");
  console.log(`${one.name}: ${medianOf(ratios).toFixed(2)} times etcd (${shown})`);
  return [figure(one.name, "etcd, three members", theirs, "-"), ...reports];
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const etcd = hasPeers("cluster/etcd") ? await startEtcd(3) : undefined;
  try {
    const cluster = await startCluster();
    try {
      await fill(context, cluster);
      const reports: Report[] = [];
      for (const one of CASES) reports.push(...(await compare(context, one, etcd, cluster)));
      return reports;
    } finally {
      await cluster.stop();
    }
  } finally {
    await etcd?.stop();
  }
}
