/** Three stores and a PD as processes on this machine, on any core, for benches. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PdClient } from "../../src/pd_client/index.js";
import { within } from "../../test/support/within.js";
import { sumOf, type Usage } from "../server/etcd.js";
import { type StoreAddress, usageOf } from "../server/processes.js";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const START_MS = 60_000;
const STORES = 3;

/** What a cluster did so far, all stores together. */
export interface ClusterUsage extends Usage {
  /** Raft messages and the frames that carried them. */
  readonly messages: number;
  readonly frames: number;
  /** Bytes that the engines wrote to their logs. */
  readonly bytes: number;
}

export interface BenchCluster {
  /** Where the leader of the region that holds the empty key is, as a load wants it. */
  leader(): Promise<StoreAddress>;
  stats(): Promise<ClusterUsage>;
  stop(): Promise<void>;
}

interface ReadyStore {
  readonly pid: number;
  readonly store: string;
  readonly status: string;
}

function counter(text: string, name: string): number {
  let sum = 0;
  for (const match of text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([\\d.e+]+)$`, "gm"))) {
    sum += Number(match[1]);
  }
  return sum;
}

async function usageOfStore({ pid, status }: ReadyStore): Promise<ClusterUsage> {
  const text = await (await fetch(`http://${status}/metrics`)).text();
  return {
    ...usageOf(pid),
    syncs: counter(text, "tikv_engine_wal_file_synced"),
    messages: counter(text, "tikv_server_raft_message_batch_size_sum"),
    frames: counter(text, "tikv_server_raft_message_batch_size_count"),
    bytes: counter(text, "tikv_engine_flow_bytes"),
  };
}

async function locate(pd: PdClient): Promise<StoreAddress | undefined> {
  const region = await pd.getRegion(new Uint8Array(0));
  if (!region.ok || region.value?.leader === undefined) return undefined;
  const { leader, peers, pendingPeerIds } = region.value;
  if (peers.length < STORES || peers.some(({ role }) => role !== 0)) return undefined;
  if (pendingPeerIds.length > 0) return undefined;
  const store = await pd.getStore(leader.storeId);
  const clusterId = await pd.clusterId();
  if (!store.ok || store.value === undefined || !clusterId.ok) return undefined;
  return {
    port: Number(store.value.address.split(":")[1]),
    clusterId: String(clusterId.value),
    regionId: String(region.value.id),
    confVer: String(region.value.confVer),
    version: String(region.value.version),
    peerId: String(leader.id),
    storeId: String(leader.storeId),
  };
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
}

/** Starts PD and three stores and waits until the first region has a replica on each. */
export async function startCluster(extra: readonly string[] = []): Promise<BenchCluster> {
  const directory = mkdtempSync(join(tmpdir(), "rutile-bench-cluster-"));
  const readyFile = join(directory, "ready.json");
  const flags = ["--stores", String(STORES), "--base-port", "0", "--ready-file", readyFile];
  const args = [MAIN, "up", ...flags, "--data-dir", join(directory, "data"), ...extra];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  let pd: PdClient | undefined;
  const stop = async (): Promise<void> => {
    pd?.close();
    await stopProcess(child);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await within(START_MS, "the cluster to be ready", () => existsSync(readyFile));
    const info = JSON.parse(readFileSync(readyFile, "utf8")) as {
      pd: string;
      stores: ReadyStore[];
    };
    const client = new PdClient({ endpoints: [info.pd] });
    pd = client;
    await within(START_MS, "three replicas", async () => (await locate(client)) !== undefined);
    return {
      leader: async () => (await locate(client)) as StoreAddress,
      stats: async () => clusterSum(await Promise.all(info.stores.map(usageOfStore))),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function clusterSum(usages: readonly ClusterUsage[]): ClusterUsage {
  const sum = (field: "messages" | "frames" | "bytes"): number =>
    usages.reduce((total, one) => total + one[field], 0);
  return {
    ...sumOf(usages),
    messages: sum("messages"),
    frames: sum("frames"),
    bytes: sum("bytes"),
  };
}
