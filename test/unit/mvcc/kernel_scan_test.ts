/**
 * Scans and point reads by kernel against the walks, over random histories in a memory engine: the
 * same pairs and errors, whatever the slices, the room in the arena and the kernel's implementation.
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES } from "../../../src/base/index.js";
import {
  dataKey,
  encodeLock,
  encodeWrite,
  keyAppendTs,
  keyFromRaw,
  newLock,
  newWrite,
} from "../../../src/codec/index.js";
import { MemoryDisk, openMemoryEngine } from "../../../src/engine/index.js";
import { type Kernels, loadKernels } from "../../../src/kernel/index.js";
import {
  type FirstReads,
  KernelPoints,
  LockGlance,
  MvccReader,
  type OpenVersionScan,
  openKernelScan,
  openVersionScan,
  PointGetter,
  type ReadPoint,
  readFirst,
  Scanner,
  type ScannerOptions,
  Statistics,
} from "../../../src/mvcc/index.js";
import type { ReadDelegate } from "../../../src/raftstore/index.js";
import { BoundedSnapshot } from "../../../src/storage/kv_engine.js";
import { TxnSnapshot } from "../../../src/storage/txn_snapshot.js";
import { forAll } from "../../diff/support.js";
import {
  historyArbitrary,
  type KeyHistory,
  type PlainReader,
  readerArbitrary,
  TS_MAX,
} from "../../support/mvcc_history.js";

/** Ample room and little of it, wasm and twin; poison shows reads of a turn that is over. */
const KERNELS: readonly Kernels[] = [
  loadKernels({ memoryBytes: 4 << 20, poison: true }),
  loadKernels({ memoryBytes: 1 << 20, poison: true, build: "js" }),
];

const WHOLE_REGION = { region: { startKey: EMPTY_BYTES, endKey: EMPTY_BYTES } };

/** A memory engine with data as a store has them. */
class Data {
  private readonly disk = new MemoryDisk();
  readonly engine = openMemoryEngine((error) => {
    throw error;
  }, this.disk);

  constructor(history: readonly KeyHistory[]) {
    const batch = this.engine.newWriteBatch();
    for (const { key, versions, lock } of history) {
      if (lock !== undefined) batch.put("lock", dataKey(key), encodeLock(lock));
      for (const { commitTs, write } of versions) {
        batch.put("write", dataKey(keyAppendTs(key, commitTs)), encodeWrite(write));
        // Some long values are missing.
        if (write.shortValue !== undefined || write.startTs % 7n === 0n) continue;
        const value = new Uint8Array(Number(write.startTs % 300n)).fill(7);
        batch.put("default", dataKey(keyAppendTs(key, write.startTs)), value);
      }
    }
    this.disk.apply(this.engine, batch.bytes());
  }

  /** Scans to the end in slices; returns everything that a client would see. */
  scan(open: OpenVersionScan, point: ReadPoint, options: ScannerOptions, slice: number) {
    const snapshot = new BoundedSnapshot(WHOLE_REGION as ReadDelegate, this.engine.snapshot());
    const statistics = new Statistics();
    const scanner = new Scanner(new TxnSnapshot(snapshot), statistics, point, options, open);
    let steps = 0;
    while (!scanner.done) {
      scanner.step(slice);
      assert.ok(++steps < 5000, "the scan comes to an end");
    }
    scanner.close();
    snapshot.close();
    const { snapshotsOpen, iteratorsOpen } = this.engine.stats();
    assert.equal([snapshotsOpen, iteratorsOpen], [0, 0]);
    return { pairs: scanner.pairs, error: scanner.error, statistics };
  }
}

/** Reads with `use` over a snapshot that is closed behind it. */
function withView<T>(data: Data, use: (view: TxnSnapshot) => T): T {
  const snapshot = new BoundedSnapshot(WHOLE_REGION as ReadDelegate, data.engine.snapshot());
  try {
    return use(new TxnSnapshot(snapshot));
  } finally {
    snapshot.close();
  }
}

function pointOf(reader: PlainReader): ReadPoint {
  return {
    ts: reader.readTs,
    isolation: reader.isolation,
    bypassLocks: reader.bypass,
    accessLocks: reader.access,
    isReplicaRead: reader.replicaRead,
  };
}

const optionsArbitrary = fc.record({
  reverse: fc.boolean(),
  limit: fc.constantFrom(1, 2, 5, 1000),
  slice: fc.constantFrom(1, 3, 10, 1000),
  bounds: fc.tuple(fc.nat(9), fc.nat(9)),
});

/** Which of several newer versions an rcCheckTs scan against key order names is open. */
function comparable(seen: ReturnType<Data["scan"]>, reverse: boolean) {
  const { pairs, error } = seen;
  if (!reverse || error?.kind !== "writeConflict") return { pairs, error };
  return { pairs, error: { kind: error.kind, key: error.key } };
}

test("the kernel's scan is the walk", () => {
  const arbitrary = fc.tuple(historyArbitrary(40), readerArbitrary, optionsArbitrary);
  let pairs = 0;
  forAll(
    arbitrary,
    ([history, reader, { reverse, limit, slice, bounds }]) => {
      const data = new Data(history);
      const edge = (i: number): Uint8Array => history[i]?.key ?? EMPTY_BYTES;
      const [low, high] = [Math.min(...bounds), Math.max(...bounds)];
      const range = { lower: edge(low), upper: high >= 8 ? EMPTY_BYTES : edge(high), reverse };
      const options = { ...range, limit, keyOnly: reader.keyOnly, sampleStep: 0 };
      const want = data.scan(openVersionScan, pointOf(reader), options, slice);
      pairs += want.pairs.length;
      for (const kernels of KERNELS) {
        const open = openKernelScan(kernels, openVersionScan);
        const got = data.scan(open, pointOf(reader), options, slice);
        assert.equal(comparable(got, reverse), comparable(want, reverse));
        assert.is(got.statistics.processedSize, want.statistics.processedSize);
      }
    },
    400,
  );
  assert.ok(pairs > 150, `${pairs} pairs`);
});

test("point reads by kernel, each at its own timestamp, are the getter's", () => {
  const itemsArbitrary = fc.array(fc.tuple(fc.nat(9), fc.bigInt({ min: 0n, max: 30n })), {
    maxLength: 40,
  });
  let found = 0;
  forAll(
    fc.tuple(historyArbitrary(12), readerArbitrary, itemsArbitrary),
    ([history, reader, picks]) => {
      const isolation = reader.isolation === "rcCheckTs" ? "si" : reader.isolation;
      const { bypass: bypassLocks, access: accessLocks, replicaRead: isReplicaRead } = reader;
      const data = new Data(history);
      const items = picks.map(([i, low]) => ({
        key: history[i]?.key ?? keyFromRaw(Uint8Array.of(i)),
        ts: low === 30n ? TS_MAX : low,
      }));
      const want = items.map(({ key, ts }) =>
        withView(data, (view) => {
          const point = { ts, isolation, bypassLocks, accessLocks, isReplicaRead };
          const getter = new PointGetter(view, new Statistics(), point);
          const pair = getter.get(key);
          getter.close();
          return pair;
        }),
      );
      found += want.filter((pair) => pair !== undefined && "value" in pair).length;
      for (const kernels of KERNELS) {
        const got = withView(data, (view) => {
          const source = { snapshot: view, statistics: new Statistics() };
          const how = { isolation, bypassLocks, accessLocks, isReplicaRead };
          const points = new KernelPoints(kernels, source, how);
          const pairs = points.read(items);
          points.close();
          return pairs;
        });
        assert.equal(got, want);
      }
    },
    250,
  );
  assert.ok(found > 100, `${found} values`);
});

test("point reads with more values than a turn has room for", () => {
  const history = historyOf(700, (i) => 1 + (i % 3), 0x50).map((one, i): KeyHistory => {
    const secondaries = Array.from({ length: 100 }, (_, s) => userKey(s));
    const fields = { type: 0x4c, primary: one.userKey, startTs: 5n, ttl: 1n } as const;
    const lock = newLock({ ...fields, useAsyncCommit: true, secondaries });
    return i % 2 === 0 ? { ...one, lock } : one;
  });
  const data = new Data(history);
  const items = history.map(({ key }) => ({ key, ts: 1000n }));
  const kernels = KERNELS[1] as Kernels;
  const pairs = withView(data, (view) => {
    const source = { snapshot: view, statistics: new Statistics() };
    const points = new KernelPoints(kernels, source, { ...plainPoint, isolation: "si" });
    const read = points.read(items);
    points.close();
    return read;
  });
  pairs.forEach((pair, i) => {
    assert.equal(pair && "value" in pair && [...pair.value], [i & 255, 0]);
  });
});

/** What a reader finds first of each key; "none" where it finds nothing. */
function firstOf(view: TxnSnapshot, keys: readonly Uint8Array[]) {
  const reader = new MvccReader(view, new Statistics());
  const found = keys.map((key) => {
    return {
      lock: reader.loadLock(key) ?? "none",
      newest: reader.seekWrite(key, TS_MAX) ?? "none",
    };
  });
  reader.close();
  return found;
}

test("first reads of many keys: what a reader finds by itself, and all of them where there is room", () => {
  forAll(
    fc.tuple(historyArbitrary(20), fc.array(fc.nat({ max: 9 }), { maxLength: 30 }), fc.boolean()),
    ([history, picks, withNewest]) => {
      const data = new Data(history);
      const keys = picks.map((i) => (history[i]?.key ?? keyFromRaw(Uint8Array.of(i))).slice());
      const want = withView(data, (view) => firstOf(view, keys));
      for (const kernels of KERNELS) {
        withView(data, (view) => {
          const first = readFirst(kernels, view, keys, withNewest, new LockGlance());
          for (const key of keys) {
            const read = first?.of(key);
            assert.ok(read !== undefined, "there is room for all");
            assert.is(read?.newest === "unread", !withNewest);
          }
          assert.is(first?.of(Uint8Array.of(1)), undefined, "a key that was not asked for");
          view.firstReads = first as FirstReads;
          assert.equal(firstOf(view, keys), want);
        });
      }
    },
    150,
  );
});

test("first reads that do not fit are left to the reader", () => {
  const history = historyOf(900, (i) => i % 4, 0x50).map((one, i): KeyHistory => {
    const secondaries = Array.from({ length: 600 }, (_, s) => userKey(s));
    const fields = { type: 0x50, primary: one.userKey, startTs: 5n, ttl: 1n } as const;
    const lock = newLock({ ...fields, useAsyncCommit: true, secondaries });
    return i % 3 === 0 ? { ...one, lock } : one;
  });
  const data = new Data(history);
  const keys = history.map(({ key }) => key);
  const want = withView(data, (view) => firstOf(view, keys));
  withView(data, (view) => {
    const first = readFirst(
      KERNELS[1] as Kernels,
      view,
      keys,
      true,
      new LockGlance(),
    ) as FirstReads;
    const read = keys.filter((key) => first.of(key) !== undefined).length;
    assert.ok(read > 100 && read < keys.length, `${read} keys`);
    view.firstReads = first;
    assert.equal(firstOf(view, keys), want);
  });
});

test("first reads are left out while the arena is somebody else's", () => {
  const data = new Data(historyOf(2, () => 1, 0x50));
  const kernels = KERNELS[0] as Kernels;
  kernels.arena.enter();
  const first = withView(data, (view) =>
    readFirst(kernels, view, [keyFromRaw(userKey(0))], true, new LockGlance()),
  );
  kernels.arena.leave();
  assert.is(first, undefined);
});

const plainPoint: ReadPoint = {
  ts: 1n << 40n,
  isolation: "si",
  bypassLocks: [],
  accessLocks: [],
  isReplicaRead: false,
};

function userKey(i: number): Uint8Array {
  return new TextEncoder().encode(`key${String(i).padStart(6, "0")}`);
}

function historyOf(keys: number, versions: (i: number) => number, type: 0x50 | 0x4c): KeyHistory[] {
  return Array.from({ length: keys }, (_, i) => ({
    userKey: userKey(i),
    key: keyFromRaw(userKey(i)),
    versions: Array.from({ length: versions(i) }, (__, v) => {
      const commitTs = BigInt(2 * (versions(i) - v) + 1);
      const last = v === versions(i) - 1;
      const shortValue = Uint8Array.of(i & 255, v & 255);
      return { commitTs, write: newWrite({ type: last ? 0x50 : type, startTs: 9n, shortValue }) };
    }),
    lock: undefined,
  }));
}

/** Entries of the write CF that a scan moved over, and its pairs. */
function cost(history: readonly KeyHistory[], point: ReadPoint, reverse: boolean) {
  const data = new Data(history);
  const options = { lower: EMPTY_BYTES, upper: EMPTY_BYTES, reverse, limit: 100_000 };
  const all = { ...options, keyOnly: false, sampleStep: 0 };
  const want = data.scan(openVersionScan, point, all, 256);
  const open = openKernelScan(KERNELS[0] as Kernels, openVersionScan);
  const got = data.scan(open, point, all, 256);
  assert.equal(got.pairs, want.pairs);
  const { next, prev } = got.statistics.write;
  return { pairs: got.pairs.length, moves: next + prev };
}

test("keys with thousands of versions are leapt over, in both directions", () => {
  const history = historyOf(5, (i) => (i % 2 === 0 ? 5000 : 1), 0x50);
  for (const reverse of [false, true]) {
    for (const ts of [1n << 40n, 2000n]) {
      const { pairs, moves } = cost(history, { ...plainPoint, ts }, reverse);
      assert.is(pairs, 5);
      assert.ok(moves < 4500, `${moves} of 15,002 entries at ${ts}, reverse ${reverse}`);
    }
  }
});

test("long rows of locks above the data are walked through", () => {
  const history = historyOf(3, () => 3000, 0x4c);
  for (const reverse of [false, true]) assert.is(cost(history, plainPoint, reverse).pairs, 3);
});

test("an entry larger than a block sends the rest of the range to the walks", () => {
  const history = historyOf(40, () => 3, 0x50).map((one, i): KeyHistory => {
    if (i !== 20) return one;
    const secondaries = Array.from({ length: 10_000 }, (_, s) => userKey(s));
    const fields = { type: 0x4c, primary: one.userKey, startTs: 5n, ttl: 1n } as const;
    return { ...one, lock: newLock({ ...fields, useAsyncCommit: true, secondaries }) };
  });
  const data = new Data(history);
  for (const reverse of [false, true]) {
    for (const limit of [15, 1000]) {
      const range = { lower: EMPTY_BYTES, upper: EMPTY_BYTES, reverse };
      const options = { ...range, limit, keyOnly: false, sampleStep: 0 };
      const want = data.scan(openVersionScan, plainPoint, options, 7);
      const got = data.scan(
        openKernelScan(KERNELS[1] as Kernels, openVersionScan),
        plainPoint,
        options,
        7,
      );
      assert.equal(got.pairs, want.pairs);
    }
  }
});

test("a damaged record is the codec's error", async () => {
  const history = historyOf(3, () => 2, 0x50);
  const data = new Data(history);
  const batch = data.engine.newWriteBatch();
  const { key } = history[1] as KeyHistory;
  batch.put("write", dataKey(keyAppendTs(key, 99n)), Uint8Array.of(0x58));
  await data.engine.write(batch, { sync: false });
  const options = { lower: EMPTY_BYTES, upper: EMPTY_BYTES, reverse: false, limit: 10 };
  const all = { ...options, keyOnly: false, sampleStep: 0 };
  const open = openKernelScan(KERNELS[0] as Kernels, openVersionScan);
  const snapshot = new BoundedSnapshot(WHOLE_REGION as ReadDelegate, data.engine.snapshot());
  const point = { ...plainPoint, ts: TS_MAX };
  const scanner = new Scanner(new TxnSnapshot(snapshot), new Statistics(), point, all, open);
  assert.throws(() => scanner.step(100), /unknown type/);
  scanner.close();
  snapshot.close();
});

test.run();
