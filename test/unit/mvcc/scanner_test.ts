/** Scans: slices, limits, samples, what ends them, and what they cost. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8 } from "../../../src/base/index.js";
import {
  encodeLock,
  keyFromRaw,
  keyToRaw,
  LOCK_TYPE,
  newLock,
  newWrite,
  WRITE_TYPE,
  type Write,
} from "../../../src/codec/index.js";
import {
  MvccTxn,
  PointGetter,
  type ReadPoint,
  Scanner,
  type ScannerOptions,
  Statistics,
} from "../../../src/mvcc/index.js";
import { MvccEngine } from "../../support/mvcc_engine.js";

const POINT: ReadPoint = {
  ts: 100n,
  isolation: "si",
  bypassLocks: [],
  accessLocks: [],
  isReplicaRead: false,
};
const ALL: ScannerOptions = {
  lower: EMPTY_BYTES,
  upper: EMPTY_BYTES,
  reverse: false,
  limit: 1000,
  keyOnly: false,
  sampleStep: 0,
};
const nameOf = (i: number): string => `k${String(i).padStart(4, "0")}`;
const put = (startTs: bigint): Write =>
  newWrite({ type: WRITE_TYPE.put, startTs, shortValue: utf8(`v${startTs}`) });

/** Keys k0000 to before `count`, each with `versions` versions at 10, 20, … */
function engineOf(count: number, versions: number): MvccEngine {
  const engine = new MvccEngine();
  const txn = new MvccTxn(0n);
  for (let i = 0; i < count; i++) {
    for (let v = 1; v <= versions; v++) {
      const commitTs = BigInt(v * 10);
      txn.putWrite(keyFromRaw(utf8(nameOf(i))), commitTs, put(commitTs - 1n));
    }
  }
  engine.apply(txn.modifies);
  return engine;
}

function lock(engine: MvccEngine, name: string): void {
  const value = encodeLock(
    newLock({ type: LOCK_TYPE.put, primary: utf8("p"), startTs: 50n, ttl: 1n }),
  );
  engine.apply([{ cf: "lock", key: keyFromRaw(utf8(name)), value }]);
}

function scan(
  engine: MvccEngine,
  options: Partial<ScannerOptions> = {},
  point: Partial<ReadPoint> = {},
): { names: string[]; scanner: Scanner; steps: number } {
  const whole = { ...ALL, ...options };
  const scanner = new Scanner(engine.snapshot(), new Statistics(), { ...POINT, ...point }, whole);
  let steps = 0;
  for (; !scanner.done; steps++) scanner.step(50);
  scanner.close();
  const names = scanner.pairs.map((pair) => {
    const name = Buffer.from(keyToRaw(pair.key)).toString();
    return "error" in pair ? `${name}!${pair.error.kind}` : name;
  });
  return { names, scanner, steps };
}

const slices = suite("slices and limits");

slices("a slice looks at about as many entries as it may", () => {
  const { names, steps } = scan(engineOf(400, 1));
  assert.is(names.length, 400);
  assert.ok(steps >= 8 && steps <= 9, `${steps} steps of 50 for 400 entries`);
});

slices("the limit ends a scan, pairs with errors count", () => {
  const engine = engineOf(5, 1);
  lock(engine, nameOf(1));
  assert.equal(scan(engine, { limit: 3 }).names, ["k0000", "k0001!keyIsLocked", "k0002"]);
  assert.equal(scan(engine, { limit: 0 }).names, []);
  const back = scan(engine, { limit: 4, reverse: true }).names;
  assert.equal(back, ["k0004", "k0003", "k0002", "k0001!keyIsLocked"]);
});

slices("a lock without any version is met between, before and behind the keys", () => {
  const engine = engineOf(2, 1);
  for (const name of ["a", "k0000x", "z"]) lock(engine, name);
  const forth = ["a!keyIsLocked", "k0000", "k0000x!keyIsLocked", "k0001", "z!keyIsLocked"];
  assert.equal(scan(engine).names, forth);
  assert.equal(scan(engine, { reverse: true }).names, forth.reverse());
  assert.equal(scan(engine, {}, { isolation: "rc" }).names, ["k0000", "k0001"]);
});

slices("a sample takes every nth key", () => {
  const engine = engineOf(10, 1);
  assert.equal(scan(engine, { sampleStep: 4 }).names, ["k0000", "k0004", "k0008"]);
  assert.equal(scan(engine, { sampleStep: 4, limit: 2 }).names, ["k0000", "k0004"]);
  assert.is(scan(engine, { sampleStep: 1 }).names.length, 10);
});

slices("keys alone have no values and load none", () => {
  const engine = new MvccEngine();
  const txn = new MvccTxn(0n);
  const key = keyFromRaw(utf8("k"));
  txn.putWrite(key, 10n, newWrite({ type: WRITE_TYPE.put, startTs: 9n }));
  engine.apply(txn.modifies);
  const { scanner } = scan(engine, { keyOnly: true });
  assert.equal(scanner.pairs, [{ key, value: EMPTY_BYTES, commitTs: 10n }]);
  assert.is(scanner.statistics.default.get, 0);
  assert.is(scan(engine).scanner.error?.kind, "defaultNotFound");
});

slices("a write conflict ends an rcCheckTs scan where it is", () => {
  const engine = engineOf(3, 1);
  const txn = new MvccTxn(0n);
  txn.putWrite(keyFromRaw(utf8(nameOf(1))), 200n, put(199n));
  engine.apply(txn.modifies);
  const { names, scanner } = scan(engine, {}, { isolation: "rcCheckTs" });
  assert.equal(names, ["k0000"]);
  assert.equal(scanner.error, {
    kind: "writeConflict",
    startTs: 100n,
    conflictStartTs: 199n,
    conflictCommitTs: 200n,
    key: utf8(nameOf(1)),
    primary: EMPTY_BYTES,
    reason: "rcCheckTs",
  });
});

slices("the region's neighbours are not seen", () => {
  const key = (i: number): Uint8Array => keyFromRaw(utf8(nameOf(i)));
  const engine = new MvccEngine({ start: key(2), end: key(5) });
  const txn = new MvccTxn(0n);
  for (let i = 0; i < 8; i++) txn.putWrite(key(i), 10n, put(9n));
  engine.apply(txn.modifies);
  for (const name of ["k0001x", "k0004x", "k0005"]) lock(engine, name);
  const inside = ["k0002", "k0003", "k0004", "k0004x!keyIsLocked"];
  assert.equal(scan(engine).names, inside);
  assert.equal(scan(engine, { reverse: true }).names, [...inside].reverse());
  assert.equal(scan(engine, { lower: key(3), upper: key(4) }).names, ["k0003"]);
  assert.equal(scan(engine, { lower: key(3), upper: key(3) }).names, []);
  assert.throws(() => engine.snapshot().get("lock", key(5)), /region/);
});

const costs = suite("what reads cost");

costs("many versions above the read are sought over, few are walked over", () => {
  const cost = (versions: number, reverse: boolean): number => {
    const engine = engineOf(10, versions);
    const { scanner } = scan(engine, { reverse }, { ts: 10n });
    assert.is(scanner.pairs.length, 10);
    return scanner.statistics.totalVersions;
  };
  for (const reverse of [false, true]) {
    assert.ok(cost(4, reverse) <= 41, "4 versions a key");
    assert.ok(cost(900, reverse) < 10 * 300, `900 versions a key cost ${cost(900, reverse)}`);
  }
});

costs("a get counts its lock, its seek, its value and its bytes", () => {
  const engine = engineOf(3, 2);
  const getter = new PointGetter(engine.snapshot(), new Statistics(), POINT);
  const key = keyFromRaw(utf8(nameOf(1)));
  const found = getter.get(key);
  assert.equal(found, { key, value: utf8("v19"), commitTs: 20n });
  const { lock: locks, write, processedSize } = getter.statistics;
  assert.is(locks.get, 1);
  assert.equal([write.seek, write.next, write.processedKeys], [1, 0, 1]);
  assert.is(processedSize, key.length + 3);
  getter.close();
});

for (const each of [slices, costs]) each.run();
