/** Faults of a cluster under transactions: each breaks something, waits for progress, heals it. */
import { keyFromRaw } from "../../src/codec/index.js";
import type { Cluster } from "../../src/testing/index.js";
import type { TxnShared } from "../sim/txn/worker.js";
import { within } from "./within.js";

const LIMIT_MS = 60_000;
/** Transactions that have to commit after each step. */
const PROGRESS = 30;

const LIST = keyFromRaw(Buffer.from("list0"));
const BANK = keyFromRaw(Buffer.from("bank0"));

/** Waits until some more transactions were committed. */
async function progress(shared: TxnShared, count = PROGRESS): Promise<void> {
  const target = shared.acknowledged + count;
  await within(LIMIT_MS, `${target} transactions`, () => shared.acknowledged >= target);
}

async function killLeader(cluster: Cluster, shared: TxnShared, key: Uint8Array): Promise<void> {
  const leader = await cluster.leaderOf(key);
  await cluster.kill(leader);
  await progress(shared);
  await cluster.restart(leader);
  await cluster.ready();
}

async function pauseLeader(cluster: Cluster, shared: TxnShared, key: Uint8Array): Promise<void> {
  const leader = await cluster.leaderOf(key);
  cluster.pause(leader);
  await progress(shared);
  cluster.resume(leader);
  await cluster.ready();
}

async function cutLeader(cluster: Cluster, shared: TxnShared, key: Uint8Array): Promise<void> {
  const leader = await cluster.leaderOf(key);
  for (const to of [0, 1, 2]) if (to !== leader) cluster.cut({ from: leader, to });
  await progress(shared);
  cluster.heal();
  await cluster.ready();
}

async function transfer(cluster: Cluster, shared: TxnShared, key: Uint8Array): Promise<void> {
  const leader = await cluster.leaderOf(key);
  const regions = await cluster.regions();
  const region = regions.filter(({ startKey }) => Buffer.compare(startKey, key) <= 0).at(-1);
  if (region !== undefined) await cluster.transferLeader(region.id, (leader + 1) % 3);
  await progress(shared);
}

/** Each kind of fault once. */
export async function oneRound(cluster: Cluster, shared: TxnShared): Promise<void> {
  await progress(shared);
  await killLeader(cluster, shared, LIST);
  await transfer(cluster, shared, BANK);
  await pauseLeader(cluster, shared, BANK);
  await cluster.splitAt(keyFromRaw(Buffer.from("bank3")));
  await progress(shared);
  await cutLeader(cluster, shared, LIST);
  await progress(shared);
}
