/** Snapshot managers on virtual time, in-memory disks that crash, and data for them. */
import {
  EMPTY_BYTES,
  keyInRange,
  NULL_LOGGER,
  Prng,
  type TikvError,
  toHex,
  utf8,
  utf8Decode,
} from "../../src/base/index.js";
import { dataKey } from "../../src/codec/index.js";
import { type Engine, MemoryDisk, openMemoryEngine } from "../../src/engine/index.js";
import { MessageType } from "../../src/raft/index.js";
import {
  enginePort,
  MemorySnapDisk,
  MemorySnapFiles,
  type RaftMessage,
  type RegionInfo,
  RegionSnapshots,
  type SnapFiles,
  type SnapKey,
  type SnapshotOptions,
} from "../../src/raftstore/index.js";
import { DATA_CFS, type DataCf } from "../../src/raftstore/snapshot/format.js";
import { SimLoop } from "../sim/loop.js";

export const SNAPSHOT_OPTIONS: SnapshotOptions = {
  concurrentSendSnapLimit: 4,
  concurrentRecvSnapLimit: 2,
  snapIoMaxBytesPerSec: 0,
  snapMaxTotalSizeBytes: 0,
};

const FOREVER_US = 3_600_000_000;

/** Returns a region with one peer on each of the stores 1 to 3. */
export function regionOf(id: number, startKey: string, endKey: string, version = 1n): RegionInfo {
  const peers = [1n, 2n, 3n].map((store) => {
    return { id: BigInt(id) * 10n + store, storeId: store, role: 0 as const };
  });
  return {
    id: BigInt(id),
    startKey: utf8(startKey),
    endKey: utf8(endKey),
    confVer: 1n,
    version,
    peers,
  };
}

/** One store's snapshot manager; `crash` and `start` again. */
export class SnapshotStore {
  readonly disk = new MemoryDisk({ journal: true });
  readonly snapDisk = new MemorySnapDisk();
  readonly fatal: TikvError[] = [];
  loop = new SimLoop();
  engine: Engine;
  snapshots: RegionSnapshots;
  /** What ownerOf answers. */
  owner: number | undefined;
  events = 0;

  constructor(
    private readonly options: SnapshotOptions = SNAPSHOT_OPTIONS,
    private readonly files?: SnapFiles,
  ) {
    [this.engine, this.snapshots] = this.start();
  }

  /** Loses power: of the engine's unsynced writes `kept` stay; removed files may come back. */
  crash(kept: number, resurrect: boolean): void {
    this.disk.crash(Math.min(kept, this.disk.unsyncedCount));
    this.snapDisk.crash(resurrect);
    this.loop = new SimLoop();
    [this.engine, this.snapshots] = this.start();
  }

  /** Runs until nothing is planned within an hour, or `isOver` after an event. */
  async run(isOver: () => boolean = () => false): Promise<void> {
    const { loop } = this;
    // Writes under way plan the first events.
    await new Promise((resolve) => setImmediate(resolve));
    if (isOver()) return;
    await loop.run(loop.nowUs + FOREVER_US, () => {
      this.events++;
      if (isOver() || this.fatal.length > 0) loop.stop();
    });
  }

  /** Writes "key" → "value" pairs into a CF, synced. */
  async put(cf: DataCf, entries: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
    const batch = this.engine.newWriteBatch();
    for (const [key, value] of Object.entries(entries)) {
      batch.put(cf, dataKey(utf8(key)), typeof value === "string" ? utf8(value) : value);
    }
    await this.engine.write(batch, { sync: true });
  }

  private start(): [Engine, RegionSnapshots] {
    const { loop } = this;
    const onFatal = (error: Error): void => {
      throw error;
    };
    const engine = openMemoryEngine(onFatal, this.disk);
    const timers = {
      after: (delayMs: number, callback: () => void): (() => void) => {
        const event = loop.after(delayMs * 1000, callback);
        return () => event.cancel();
      },
    };
    const clock = { nowMs: () => loop.nowUs / 1000, monotonicMs: () => loop.nowUs / 1000 };
    const snapshots = new RegionSnapshots(this.options, {
      port: enginePort(engine, onFatal),
      files: this.files ?? new MemorySnapFiles(this.snapDisk, timers),
      clock,
      timers,
      logger: NULL_LOGGER,
      onFatal: (error) => this.fatal.push(error),
      ownerOf: () => this.owner,
    });
    return [engine, snapshots];
  }
}

/** Returns all data of an engine as sorted lines "cf key=hash-or-text". */
export function dataOf(engine: Engine, region?: RegionInfo): string[] {
  const lines: string[] = [];
  const snapshot = engine.snapshot();
  for (const cf of DATA_CFS) {
    const iter = snapshot.iterate(cf, { lower: EMPTY_BYTES, upper: EMPTY_BYTES });
    for (let on = iter.seekToFirst(); on; on = iter.next()) {
      const key = iter.key().subarray(1);
      if (iter.key()[0] !== 0x7a) continue;
      if (region !== undefined && !keyInRange(key, region.startKey, region.endKey)) continue;
      lines.push(`${cf} ${utf8Decode(key)}=${toHex(iter.value().subarray(0, 40))}`);
    }
    iter.close();
  }
  snapshot.close();
  return lines;
}

/** Returns the message that announces a snapshot. */
export function snapshotMessage(
  key: SnapKey,
  data: Uint8Array,
  region: RegionInfo,
  toPeerId = 2,
): RaftMessage {
  const metadata = {
    confState: {
      voters: [1, 2, 3],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    },
    index: key.index,
    term: key.term,
  };
  return {
    regionId: key.regionId,
    fromPeer: { id: 1, storeId: 1, role: 0 },
    toPeer: { id: toPeerId, storeId: 2, role: 0 },
    epoch: { confVer: Number(region.confVer), version: Number(region.version) },
    message: {
      type: MessageType.Snapshot,
      to: toPeerId,
      from: 1,
      term: key.term,
      logTerm: 0,
      index: 0,
      entries: [],
      commit: 0,
      snapshot: { data, metadata },
      reject: false,
      rejectHint: 0,
      context: EMPTY_BYTES,
    },
    isTombstone: false,
    startKey: EMPTY_BYTES,
    endKey: EMPTY_BYTES,
    extra: "none",
    checkRegion: undefined,
  };
}

/** Generates a snapshot of `region` for peer `toPeerId`; undefined when it is refused. */
export function generate(
  store: Pick<SnapshotStore, "engine" | "snapshots">,
  key: SnapKey,
  region: RegionInfo,
  toPeerId = 2,
): Uint8Array | undefined {
  let data: Uint8Array | undefined;
  const confState = snapshotMessage(key, EMPTY_BYTES, region).message?.snapshot?.metadata;
  if (confState === undefined) throw new Error("no conf state");
  store.snapshots.generate(
    {
      key,
      toPeerId,
      region,
      confState: confState.confState,
      engineSnapshot: store.engine.snapshot(),
    },
    (result) => {
      data = result.snapshot?.data;
    },
  );
  return data;
}

/** Returns all chunks of a generated snapshot. */
export function chunksOf(store: SnapshotStore, key: SnapKey, toPeerId = 2): Uint8Array[] {
  const source = store.snapshots.open(key, toPeerId);
  if (source === undefined) throw new Error("nothing to open");
  const chunks: Uint8Array[] = [];
  for (let chunk = source.next(); chunk !== undefined; chunk = source.next()) chunks.push(chunk);
  source.close();
  return chunks;
}

/** Sends `chunks` to a store, as a transport does. Resolves with what `finish` or `write` says. */
export async function deliver(
  store: SnapshotStore,
  message: RaftMessage,
  chunks: readonly Uint8Array[],
): Promise<string | undefined> {
  const sink = store.snapshots.receive(message);
  if (typeof sink === "string") return sink;
  let result: string | undefined;
  let over = false;
  const end = (problem: string | undefined): void => {
    result = problem;
    over = true;
  };
  const step = (at: number): void => {
    sink.ready(() => {
      const chunk = chunks[at];
      if (chunk === undefined) {
        sink.finish(end);
        return;
      }
      const problem = sink.write(chunk);
      if (problem === undefined) step(at + 1);
      else end(problem);
    });
  };
  step(0);
  await store.run(() => over);
  if (!over) throw new Error("the stream neither ended nor failed");
  return result;
}

/** Writes `count` random entries below `prefix` into all CFs, and a long value into one. */
export async function fillRandom(
  store: SnapshotStore,
  prefix: string,
  count: number,
  seed: bigint,
  longBytes = 0,
): Promise<void> {
  const prng = new Prng(seed);
  for (const cf of DATA_CFS) {
    const entries: Record<string, string | Uint8Array> = {};
    for (let i = 0; i < count; i++) {
      const key = `${prefix}${String(prng.below(1_000_000)).padStart(7, "0")}`;
      entries[key] = "v".repeat(prng.below(200));
    }
    if (longBytes > 0 && cf === "default")
      entries[`${prefix}long`] = new Uint8Array(longBytes).fill(7);
    await store.put(cf, entries);
  }
}
