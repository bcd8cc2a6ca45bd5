/** A store over a memory engine and a fake PD, for unit tests. */
import type { Clock, Logger } from "../../src/base/index.js";
import { EMPTY_BYTES, NULL_LOGGER, NULL_METRICS, toHex } from "../../src/base/index.js";
import { CF_NAMES, type Engine, openEngine } from "../../src/engine/index.js";
import { loadKernels } from "../../src/kernel/index.js";
import {
  RAFTSTORE_DEFAULTS,
  type RaftstoreOptions,
  type RegionInfo,
} from "../../src/raftstore/index.js";
import {
  type RequestContext,
  type RunningStore,
  STORAGE_DEFAULTS,
  type StartDeps,
  type StorageOptions,
  startStore,
} from "../../src/storage/index.js";
import { FakeClock } from "./fake_clock.js";
import { FakePd } from "./fake_pd.js";
import { loneParts } from "./store_parts.js";

/** Opens an empty memory engine. */
export function memoryEngine(): Promise<Engine> {
  return openEngine({
    path: "",
    binding: "memory",
    blockCacheBytes: 0,
    writeBufferBytes: 0,
    onFatal: (error) => {
      throw error;
    },
  });
}

/** One set for the process, as a store has it. */
const KERNELS = loadKernels({ memoryBytes: 1024 * 1024 });

export interface FixtureOptions {
  readonly storage?: Partial<StorageOptions>;
  readonly raftstore?: Partial<RaftstoreOptions>;
  readonly address?: string;
  /** Default: "", no disk to fill. */
  readonly dataDir?: string;
  readonly engine?: Engine;
  readonly pd?: FakePd;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly deps?: Partial<StartDeps>;
}

export interface Fixture {
  readonly engine: Engine;
  readonly pd: FakePd;
  readonly clock: Clock;
  readonly store: RunningStore;
  /** A context that the store's first region accepts. */
  readonly ctx: RequestContext;
}

/** Starts a store; every wait for PD is short. */
export async function startFixture(given: FixtureOptions = {}): Promise<Fixture> {
  const engine = given.engine ?? (await memoryEngine());
  const pd = given.pd ?? new FakePd();
  const clock = given.clock ?? new FakeClock();
  const storage = { ...STORAGE_DEFAULTS, ...given.storage };
  const store = await startStore(
    {
      raftstore: {
        ...RAFTSTORE_DEFAULTS,
        address: given.address ?? "127.0.0.1:20160",
        version: "8.5.0",
        dataDir: given.dataDir ?? "",
        pdRetryIntervalMs: 1,
        ...given.raftstore,
      },
      storage,
    },
    {
      engine,
      pd,
      clock,
      logger: given.logger ?? NULL_LOGGER,
      metrics: NULL_METRICS,
      kernels: KERNELS,
      ...loneParts(),
      signal: new AbortController().signal,
      onFatal: (error) => {
        throw error;
      },
      ...given.deps,
    },
  );
  const [region] = store.regions();
  const ctx = region === undefined ? NO_REGION : contextOf(region, storage.apiVersion);
  return { engine, pd, clock, store, ctx };
}

const NO_REGION: RequestContext = {
  regionId: 0n,
  confVer: 0n,
  version: 0n,
  peerId: 0n,
  storeId: 0n,
  term: 0n,
  apiVersion: 0,
  keyspaceId: 0,
  replicaRead: false,
  staleRead: false,
};

/** Returns the context with which a client addresses the region's first peer. */
export function contextOf(region: RegionInfo, apiVersion: number): RequestContext {
  const [peer] = region.peers;
  return {
    regionId: region.id,
    confVer: region.confVer,
    version: region.version,
    peerId: peer?.id ?? 0n,
    storeId: peer?.storeId ?? 0n,
    term: 0n,
    apiVersion: apiVersion === 2 ? 2 : 0,
    keyspaceId: 0,
    replicaRead: false,
    staleRead: false,
  };
}

/** Returns every record of an engine as "cf key value" in hex, by CF and key. */
export function dumpEngine(engine: Engine): string[] {
  const lines: string[] = [];
  const snapshot = engine.snapshot();
  for (const cf of CF_NAMES) {
    const iter = snapshot.iterate(cf, { lower: EMPTY_BYTES, upper: EMPTY_BYTES });
    for (let more = iter.seekToFirst(); more; more = iter.next()) {
      lines.push(`${cf} ${toHex(iter.key())} ${toHex(iter.value())}`);
    }
    iter.close();
  }
  snapshot.close();
  return lines;
}
