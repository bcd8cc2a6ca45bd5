/** Cases: random operations against a plain map, and a fixed workload with a pinned result hash. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { compareBytes, EMPTY_BYTES, fromHex, toHex, utf8 } from "../../src/base/index.js";
import { CF_NAMES, type CfName, type Engine, type Snapshot } from "../../src/engine/index.js";
import { type EngineCase, NO_BOUNDS } from "./engine_case.js";

const SEED = 20_240_607;
const SNAPSHOTS_MAX = 3;
/** Of the fixed workload; the same for every binding. */
const WORKLOAD_SHA256 = "1eb7781a26847ca0a76f913eb06eeac2c4d478c74fe38061fd920583c79909bd";

interface KeyOp {
  readonly cf: CfName;
  readonly key: Uint8Array;
}

type Op =
  | (KeyOp & { readonly kind: "put"; readonly value: Uint8Array })
  | (KeyOp & { readonly kind: "delete" })
  | (KeyOp & { readonly kind: "range"; readonly end: Uint8Array })
  | { readonly kind: "commit" }
  | { readonly kind: "snapshot" }
  | { readonly kind: "release"; readonly index: number };

/** From "cf/hex of the key" to the value. */
type Model = Map<string, Uint8Array>;

const modelKey = (cf: CfName, key: Uint8Array): string => `${cf}/${toHex(key)}`;

function modelKeys(model: Model): [string, Uint8Array][] {
  return [...model.keys()].map((name) => {
    const slash = name.indexOf("/");
    return [name.slice(0, slash), fromHex(name.slice(slash + 1))];
  });
}

function applyToModel(model: Model, op: Op): void {
  if (op.kind === "put") model.set(modelKey(op.cf, op.key), op.value);
  if (op.kind === "delete") model.delete(modelKey(op.cf, op.key));
  if (op.kind !== "range") return;
  for (const [name, key] of modelKeys(model)) {
    if (name !== op.cf || compareBytes(key, op.key) < 0) continue;
    if (op.end.length === 0 || compareBytes(key, op.end) < 0) model.delete(modelKey(op.cf, key));
  }
}

/** Returns [key, value] in hex of one CF in key order. */
function modelScan(model: Model, cf: CfName): [string, string][] {
  return modelKeys(model)
    .filter(([name]) => name === cf)
    .map(([, key]) => key)
    .sort(compareBytes)
    .map((key) => [toHex(key), toHex(model.get(modelKey(cf, key)) as Uint8Array)]);
}

function engineScan(snapshot: Snapshot, cf: CfName, reverse: boolean): [string, string][] {
  const iter = snapshot.iterate(cf, NO_BOUNDS);
  const found: [string, string][] = [];
  if (reverse) iter.seekToLast();
  else iter.seekToFirst();
  while (iter.valid) {
    const { keys, values } = iter.take(3, 50, reverse);
    keys.forEach((key, i) => {
      found.push([toHex(key), toHex(values[i] as Uint8Array)]);
    });
  }
  iter.close();
  return reverse ? found.reverse() : found;
}

function check(snapshot: Snapshot, model: Model, what: string): void {
  for (const cf of CF_NAMES) {
    const want = modelScan(model, cf);
    assert.equal(engineScan(snapshot, cf, false), want, `${what}, ${cf}`);
    assert.equal(engineScan(snapshot, cf, true), want, `${what}, ${cf} in reverse`);
    const keys = [...want.map(([key]) => fromHex(key)), utf8("absent")];
    const values = snapshot.multiGet(cf, keys).map((value) => value && toHex(value));
    assert.equal(
      values,
      [...want.map(([, value]) => value), undefined],
      `${what}, ${cf}, multiGet`,
    );
  }
}

/** Runs the operations on both; everything that the engine shows must equal the model. */
class Run {
  private readonly engine: Engine;
  private readonly model: Model = new Map();
  private pending: Op[] = [];
  private readonly snapshots: { readonly snapshot: Snapshot; readonly model: Model }[] = [];
  private readonly writes: Promise<void>[] = [];

  constructor(engine: Engine) {
    this.engine = engine;
  }

  async step(op: Op): Promise<void> {
    if (op.kind === "commit") this.commit();
    else if (op.kind === "snapshot") await this.takeSnapshot();
    else if (op.kind === "release") this.release(op.index);
    else this.pending.push(op);
  }

  async finish(): Promise<void> {
    this.commit();
    await this.takeSnapshot();
    while (this.snapshots.length > 0) this.release(0);
    const batch = this.engine.newWriteBatch();
    for (const cf of CF_NAMES) batch.deleteRange(cf, EMPTY_BYTES, EMPTY_BYTES);
    await this.engine.write(batch, { sync: false });
  }

  private commit(): void {
    const batch = this.engine.newWriteBatch();
    for (const op of this.pending) {
      if (op.kind === "put") batch.put(op.cf, op.key, op.value);
      if (op.kind === "delete") batch.delete(op.cf, op.key);
      if (op.kind === "range") batch.deleteRange(op.cf, op.key, op.end);
      applyToModel(this.model, op);
    }
    this.pending = [];
    this.writes.push(this.engine.write(batch, { sync: false }));
  }

  private async takeSnapshot(): Promise<void> {
    await Promise.all(this.writes);
    if (this.snapshots.length >= SNAPSHOTS_MAX) this.release(0);
    this.snapshots.push({ snapshot: this.engine.snapshot(), model: new Map(this.model) });
  }

  private release(index: number): void {
    const [taken] = this.snapshots.splice(index, 1);
    if (taken === undefined) return;
    check(taken.snapshot, taken.model, "kept snapshot");
    taken.snapshot.close();
  }
}

const cf = fc.constantFrom(...CF_NAMES);
const key = fc
  .array(fc.constantFrom(0x00, 0x01, 0x61, 0xff), { maxLength: 3 })
  .map((bytes) => Uint8Array.from(bytes));
const value = fc.uint8Array({ maxLength: 20 });
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant("put" as const), cf, key, value }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("delete" as const), cf, key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("range" as const), cf, key, end: key }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("commit" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("snapshot" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("release" as const), index: fc.nat(2) }) },
);

/** A small linear congruential generator, so that the workload is the same everywhere. */
function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

async function workloadHash(engine: Engine): Promise<string> {
  const random = generator(SEED);
  const hash = createHash("sha256");
  for (let round = 0; round < 200; round++) {
    const batch = engine.newWriteBatch();
    for (let i = random(20); i >= 0; i--) {
      const name = CF_NAMES[random(4)] as CfName;
      const target = utf8(`k${random(500)}`);
      if (random(5) === 0) batch.delete(name, target);
      else batch.put(name, target, utf8(`${round}`.repeat(1 + random(30))));
    }
    if (round % 20 === 19) batch.deleteRange("default", utf8(`k${random(400)}`), utf8("k5"));
    await engine.write(batch, { sync: false });
    const snapshot = engine.snapshot();
    for (let i = 0; i < 5; i++) {
      hash.update(snapshot.get("default", utf8(`k${random(500)}`)) ?? "absent");
    }
    snapshot.close();
    if (round === 100) await engine.compact();
  }
  const snapshot = engine.snapshot();
  for (const name of CF_NAMES) hash.update(JSON.stringify(engineScan(snapshot, name, false)));
  snapshot.close();
  return hash.digest("hex");
}

export const MODEL_CASES: readonly EngineCase[] = [
  {
    title: "random batches, snapshots and range deletions equal a plain map",
    async run({ engine }) {
      await fc.assert(
        fc.asyncProperty(fc.array(op, { minLength: 1, maxLength: 60 }), async (ops) => {
          const run = new Run(engine);
          for (const each of ops) await run.step(each);
          await run.finish();
        }),
        { seed: SEED, numRuns: 60, endOnFailure: true },
      );
    },
  },
  {
    title: "a fixed workload has the same result hash on every binding",
    async run({ engine }) {
      assert.is(await workloadHash(engine), WORKLOAD_SHA256);
    },
  },
];
