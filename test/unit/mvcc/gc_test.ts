/** GC of versions: the rules per key, slices, and that no read at or above the safe point changes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, Prng, utf8 } from "../../../src/base/index.js";
import {
  keyAppendTs,
  keyFromRaw,
  keyTs,
  newRollback,
  newWrite,
  WRITE_TYPE,
  type Write,
} from "../../../src/codec/index.js";
import { gcSlice, type Modify, MvccTxn, PointGetter, Statistics } from "../../../src/mvcc/index.js";
import { MvccEngine } from "../../support/mvcc_engine.js";
import { modifiesOf, naiveRead, randomHistory } from "../../support/mvcc_random_region.js";

const K = keyFromRaw(utf8("k"));
const put = (startTs: bigint): Write =>
  newWrite({ type: WRITE_TYPE.put, startTs, shortValue: utf8("v") });
const longPut = (startTs: bigint): Write => newWrite({ type: WRITE_TYPE.put, startTs });
const del = (startTs: bigint): Write => newWrite({ type: WRITE_TYPE.delete, startTs });
const lock = (startTs: bigint): Write => newWrite({ type: WRITE_TYPE.lock, startTs });

function engineWith(versions: readonly [bigint, Write][]): MvccEngine {
  const engine = new MvccEngine();
  const txn = new MvccTxn(0n);
  for (const [commitTs, write] of versions) {
    txn.putWrite(K, commitTs, write);
    const isLong = write.type === WRITE_TYPE.put && write.shortValue === undefined;
    if (isLong) txn.putValue(K, write.startTs, utf8("long"));
  }
  engine.apply(txn.modifies);
  return engine;
}

interface Bounds {
  readonly maxKeys: number;
  readonly maxBytes: number;
}

/** Runs GC to its end, applying each slice. Returns the slices' changes. */
function collect(
  engine: MvccEngine,
  safePoint: bigint,
  { maxKeys, maxBytes }: Bounds = { maxKeys: 256, maxBytes: 1 << 20 },
): (readonly Modify[])[] {
  const slices: (readonly Modify[])[] = [];
  let from: Uint8Array | undefined = EMPTY_BYTES;
  while (from !== undefined) {
    assert.ok(slices.length < 1000, "GC comes to its end");
    const source = { snapshot: engine.snapshot(), statistics: new Statistics() };
    const request = { from, upper: EMPTY_BYTES, safePoint, maxKeys, maxBytes };
    const slice = gcSlice(source, request);
    engine.apply(slice.deletes);
    slices.push(slice.deletes);
    from = slice.nextKey;
  }
  assert.is(engine.openCursors, 0, "cursors are closed");
  return slices;
}

const left = (engine: MvccEngine): bigint[] => engine.entries("write").map(({ key }) => keyTs(key));

const rules = suite("rules of a key");

rules("versions above the safe point stay, the newest Put at or below it stays", () => {
  const engine = engineWith([
    [5n, put(4n)],
    [10n, put(9n)],
    [15n, put(14n)],
    [20n, put(19n)],
  ]);
  collect(engine, 15n);
  assert.equal(left(engine), [20n, 15n]);
  collect(engine, 100n);
  assert.equal(left(engine), [20n]);
});

rules("Lock and Rollback records go until the first Put, those above the safe point stay", () => {
  const engine = engineWith([
    [5n, put(4n)],
    [6n, newRollback(6n, true)],
    [8n, lock(7n)],
    [12n, lock(11n)],
  ]);
  collect(engine, 10n);
  assert.equal(left(engine), [12n, 5n]);
});

rules("a Delete goes with everything below it, and is last in the batch", () => {
  const engine = engineWith([
    [5n, longPut(4n)],
    [7n, put(6n)],
    [9n, del(8n)],
    [10n, newRollback(10n, false)],
  ]);
  const [changes] = collect(engine, 10n) as [readonly Modify[]];
  assert.equal(
    changes.map(({ cf, key }) => [cf, keyTs(key)]),
    [
      ["write", 10n],
      ["write", 7n],
      ["write", 5n],
      ["default", 4n],
      ["write", 9n],
    ],
  );
  assert.equal(engine.entries("default"), []);
});

rules("a key of Lock and Rollback records alone disappears", () => {
  const engine = engineWith([
    [5n, lock(4n)],
    [6n, newRollback(6n, true)],
  ]);
  collect(engine, 6n);
  assert.equal(left(engine), []);
});

rules("the long value of the Put that stays stays", () => {
  const engine = engineWith([
    [5n, longPut(4n)],
    [9n, longPut(8n)],
  ]);
  collect(engine, 9n);
  assert.equal(
    engine.entries("default").map(({ key }) => key),
    [keyAppendTs(K, 8n)],
  );
});

const slices = suite("slices");

slices("a Delete stays while a slice leaves something below it", () => {
  const versions: [bigint, Write][] = [[100n, del(99n)]];
  for (let ts = 1n; ts < 60n; ts++) versions.push([ts, put(ts - 1n)]);
  const engine = engineWith(versions);
  const source = { snapshot: engine.snapshot(), statistics: new Statistics() };
  const all = { from: EMPTY_BYTES, upper: EMPTY_BYTES };
  const first = gcSlice(source, { ...all, safePoint: 200n, maxKeys: 9, maxBytes: 200 });
  assert.equal(first.nextKey, K);
  engine.apply(first.deletes);
  assert.is(left(engine)[0], 100n, "the Delete hides what is left");
  assert.ok(left(engine).length > 10);
  const rest = collect(engine, 200n, { maxKeys: 9, maxBytes: 200 });
  assert.ok(rest.length > 3, "further slices were needed");
  assert.equal(left(engine), []);
});

slices("keys are counted, and the range has an end", () => {
  const engine = new MvccEngine();
  const keys = ["a", "b", "c", "d"].map((name) => keyFromRaw(utf8(name)));
  const txn = new MvccTxn(0n);
  for (const key of keys) {
    txn.putWrite(key, 5n, put(4n));
    txn.putWrite(key, 7n, put(6n));
  }
  engine.apply(txn.modifies);
  const source = { snapshot: engine.snapshot(), statistics: new Statistics() };
  const request = { from: EMPTY_BYTES, upper: keys[3] as Uint8Array, safePoint: 9n };
  const first = gcSlice(source, { ...request, maxKeys: 2, maxBytes: 1 << 20 });
  assert.equal(first.nextKey, keys[2]);
  assert.is(first.stats.keys, 2);
  assert.is(first.stats.foundVersions, 4);
  assert.is(first.stats.deletedVersions, 2);
  const from = first.nextKey as Uint8Array;
  const second = gcSlice(source, { ...request, from, maxKeys: 2, maxBytes: 1 << 20 });
  assert.is(second.nextKey, undefined);
  assert.is(second.stats.deletedVersions, 1);
});

slices("no read at or above the safe point changes, whatever the slices are", () => {
  for (let seed = 0; seed < 400; seed++) {
    const prng = new Prng(BigInt(seed));
    const history = randomHistory(prng, "possible");
    const engine = new MvccEngine();
    engine.apply(modifiesOf(history));
    const safePoint = BigInt(prng.range(8, 80));
    const bounds = { maxKeys: prng.pick([1, 3, 256]), maxBytes: prng.pick([1, 200, 1 << 20]) };
    collect(engine, safePoint, bounds);
    for (const ts of [safePoint, safePoint + 1n, safePoint + BigInt(prng.below(40)), 1000n]) {
      const isolation = "rc" as const;
      const point = { ts, isolation, bypassLocks: [], accessLocks: [], isReplicaRead: false };
      const getter = new PointGetter(engine.snapshot(), new Statistics(), point);
      for (const one of history) {
        const found = getter.get(one.key);
        const value = found && ("error" in found ? found.error.kind : `${found.commitTs}`);
        const before = naiveRead(one, point);
        const expected = before && ("error" in before ? before.error : `${before.commitTs}`);
        assert.is(value, expected, `seed ${seed}, safe point ${safePoint}, read at ${ts}`);
      }
      getter.close();
    }
    const again = collect(engine, safePoint).flat();
    assert.equal(again, [], `seed ${seed}: a second run finds nothing`);
  }
});

for (const each of [rules, slices]) each.run();
