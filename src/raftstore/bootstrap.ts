/**
 * The first start of a store and of a cluster, one durable step at a time. Every step can be the
 * last before a crash; the next start continues from what is on disk:
 *
 *   nothing            → alloc a store id, write StoreIdent
 *   StoreIdent         → ask PD whether the cluster is bootstrapped; if not, prepare
 *   prepared (01 02)   → PD Bootstrap with the prepared region, then finish or clear
 *
 * Not here: waiting for PD and the loop around these steps (store.ts).
 * Source: tikv raftstore/store/bootstrap.rs, src/server/raft_server.rs.
 */
import { assert, TikvError } from "../base/index.js";
import {
  applyStateKey,
  PREPARE_BOOTSTRAP_KEY,
  raftStateKey,
  regionStateKey,
  STORE_IDENT_KEY,
} from "../codec/index.js";
import type { CfName, Engine, Snapshot } from "../engine/index.js";
import {
  encodeRaftApplyState,
  encodeRaftLocalState,
  encodeRegion,
  encodeRegionLocalState,
  encodeStoreIdent,
  initialApplyState,
  initialRaftState,
  PEER_STATE,
  readStoreIdent,
  type StoreIdent,
} from "./local_state.js";
import type { RegionInfo } from "./region.js";

const SYNC = { sync: true } as const;
const NO_KEY = new Uint8Array(0);

/** Whether CF `cf` holds any key in `[lower, upper)`; returns the first. */
function firstKey(
  snapshot: Snapshot,
  cf: CfName,
  lower: Uint8Array,
  upper: Uint8Array,
): Uint8Array | undefined {
  const iter = snapshot.iterate(cf, { lower, upper, keysOnly: true });
  try {
    return iter.seekToFirst() ? iter.key() : undefined;
  } finally {
    iter.close();
  }
}

/** Runs `read` on a snapshot that is closed afterwards. */
function withSnapshot<T>(engine: Engine, read: (snapshot: Snapshot) => T): T {
  const snapshot = engine.snapshot();
  try {
    return read(snapshot);
  } finally {
    snapshot.close();
  }
}

/**
 * Returns the ident of the store in this directory, or undefined for a new one.
 * Throws RUTILE:Store:ClusterMismatch with TiKV's words when it belongs to another cluster.
 */
export function checkStore(engine: Engine, clusterId: bigint): StoreIdent | undefined {
  const ident = readStoreIdent(engine);
  if (ident === undefined) return undefined;
  if (ident.clusterId !== clusterId) {
    throw new TikvError(
      "RUTILE:Store:ClusterMismatch",
      `cluster ID mismatch, local ${ident.clusterId} != remote ${clusterId}, ` +
        "you are trying to connect to another cluster, please reconnect to the correct PD",
    );
  }
  if (ident.storeId === 0n) {
    throw new TikvError("KV:Engine:Codec", `invalid store ident cluster_id: ${ident.clusterId}`);
  }
  return ident;
}

/** Writes the ident of a new store. Throws when the directory already holds data. */
export async function bootstrapStore(engine: Engine, ident: StoreIdent): Promise<void> {
  const found = withSnapshot(engine, (snapshot) => firstKey(snapshot, "default", NO_KEY, NO_KEY));
  if (found !== undefined) {
    throw new TikvError("RUTILE:Store:NotEmpty", "kv store is not empty and has already had data.");
  }
  await writeStoreIdent(engine, ident);
}

async function writeStoreIdent(engine: Engine, ident: StoreIdent): Promise<void> {
  const batch = engine.newWriteBatch();
  batch.put("default", STORE_IDENT_KEY, encodeStoreIdent(ident));
  await engine.write(batch, SYNC);
}

/** What TiDB writes lies in "m" and "t"; a switch of the API version accepts nothing else. */
const TIDB_RANGES_COMPLEMENT: readonly (readonly [string, string])[] = [
  ["", "m"],
  ["n", "t"],
  ["u", ""],
];
const API_VERSION_NAMES = ["V1", "V1ttl", "V2"];
const API_VERSION_V2 = 2;

/**
 * Refuses to open data under another API version than it was written in, and notes the version
 * when there is no such data. Throws RUTILE:Store:ApiVersionSwitch. TiKV leaves V1 against V1TTL
 * to a marker file; here the ident tells them apart as well, because every value differs.
 */
export async function checkApiVersion(
  engine: Engine,
  ident: StoreIdent,
  apiVersion: number,
): Promise<StoreIdent> {
  if (ident.apiVersion === apiVersion) return ident;
  const switchesTtl = ident.apiVersion !== API_VERSION_V2 && apiVersion !== API_VERSION_V2;
  const ranges = switchesTtl ? ([["", ""]] as const) : TIDB_RANGES_COMPLEMENT;
  const key = withSnapshot(engine, (snapshot) => firstDataKey(snapshot, ranges));
  if (key !== undefined) {
    const from = API_VERSION_NAMES[ident.apiVersion] ?? String(ident.apiVersion);
    const hex = Buffer.from(key).toString("hex").toUpperCase();
    throw new TikvError(
      "RUTILE:Store:ApiVersionSwitch",
      `unable to switch \`storage.api_version\` from ${from} to ${API_VERSION_NAMES[apiVersion]} ` +
        `because found data key that is not written by TiDB: "${hex}"`,
    );
  }
  const switched = { ...ident, apiVersion };
  await writeStoreIdent(engine, switched);
  return switched;
}

/** Returns the first key, without "z", of the data CFs in any of the ranges. */
function firstDataKey(
  snapshot: Snapshot,
  ranges: readonly (readonly [string, string])[],
): Uint8Array | undefined {
  for (const cf of ["default", "lock", "write"] as const) {
    for (const [start, end] of ranges) {
      const lower = Buffer.from(`z${start}`);
      const upper = Buffer.from(end === "" ? "{" : `z${end}`);
      const key = firstKey(snapshot, cf, lower, upper);
      if (key !== undefined) return key.subarray(1);
    }
  }
  return undefined;
}

/**
 * Writes the first region in one synced batch: the 01 02 key, region state, raft state and apply
 * state. TiKV needs two batches, having two engines.
 */
export async function prepareBootstrapCluster(engine: Engine, region: RegionInfo): Promise<void> {
  assert(region.peers.length === 1, "the first region has one peer");
  const batch = engine.newWriteBatch();
  batch.put("default", PREPARE_BOOTSTRAP_KEY, encodeRegion(region));
  batch.put(
    "raft",
    regionStateKey(region.id),
    encodeRegionLocalState({ state: PEER_STATE.Normal, region }),
  );
  batch.put("raft", applyStateKey(region.id), encodeRaftApplyState(initialApplyState()));
  batch.put("raft", raftStateKey(region.id), encodeRaftLocalState(initialRaftState()));
  await engine.write(batch, SYNC);
}

/** Removes a prepared region for which another store's was taken. */
export async function clearPrepareBootstrapCluster(
  engine: Engine,
  regionId: bigint,
): Promise<void> {
  const batch = engine.newWriteBatch();
  batch.delete("default", PREPARE_BOOTSTRAP_KEY);
  batch.delete("raft", regionStateKey(regionId));
  batch.delete("raft", applyStateKey(regionId));
  batch.delete("raft", raftStateKey(regionId));
  await engine.write(batch, SYNC);
}

/** Finishes the bootstrap: PD has taken the prepared region. */
export async function clearPrepareBootstrapKey(engine: Engine): Promise<void> {
  const batch = engine.newWriteBatch();
  batch.delete("default", PREPARE_BOOTSTRAP_KEY);
  await engine.write(batch, SYNC);
}
