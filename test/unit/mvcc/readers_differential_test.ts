/**
 * Point reads and scans in both directions against a naive reader, over random histories.
 * @timeout 120
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes, EMPTY_BYTES, Prng } from "../../../src/base/index.js";
import {
  PointGetter,
  type ReadPair,
  type ReadPoint,
  Scanner,
  type ScannerOptions,
  Statistics,
} from "../../../src/mvcc/index.js";
import { MvccEngine } from "../../support/mvcc_engine.js";
import {
  type Expected,
  type KeyHistory,
  modifiesOf,
  naiveRead,
  randomHistory,
  randomPoint,
} from "../../support/mvcc_random_region.js";

const SEEDS = 1500;
const POINTS = 4;

function seen(pair: ReadPair | undefined): Expected {
  if (pair === undefined) return undefined;
  if ("error" in pair) return { error: pair.error.kind };
  return { value: Buffer.from(pair.value).toString(), commitTs: pair.commitTs };
}

interface ScanResult {
  readonly rows: readonly { readonly key: Uint8Array; readonly found: Expected }[];
  readonly error: string | undefined;
}

/** What a scan is to find: rows in its order, up to the limit, or up to what ends it. */
function naiveScan(
  history: readonly KeyHistory[],
  point: ReadPoint,
  options: ScannerOptions,
): ScanResult {
  const { lower, upper, reverse, limit, keyOnly } = options;
  const inside = history.filter(
    ({ key }) =>
      compareBytes(key, lower) >= 0 && (upper.length === 0 || compareBytes(key, upper) < 0),
  );
  const rows: { key: Uint8Array; found: Expected }[] = [];
  for (const one of reverse ? inside.reverse() : inside) {
    if (rows.length === limit) break;
    let found = naiveRead(one, point);
    if (keyOnly && found !== undefined) {
      // Without values nobody looks for them: a missing one is not noticed.
      if ("error" in found && found.error === "defaultNotFound") return { rows: [], error: "skip" };
      if ("value" in found) found = { value: "", commitTs: found.commitTs };
    }
    if (found === undefined) continue;
    if ("error" in found && found.error !== "keyIsLocked") return { rows, error: found.error };
    rows.push({ key: one.key, found });
  }
  return { rows, error: undefined };
}

function scan(
  engine: MvccEngine,
  point: ReadPoint,
  options: ScannerOptions,
  slice: number,
): ScanResult {
  const scanner = new Scanner(engine.snapshot(), new Statistics(), point, options);
  for (let steps = 0; !scanner.done; steps++) {
    assert.ok(steps < 10_000, "a scan comes to its end");
    scanner.step(slice);
  }
  scanner.close();
  const rows = scanner.pairs.map((pair) => ({ key: pair.key, found: seen(pair) }));
  return { rows, error: scanner.error?.kind };
}

function checkSeed(seed: number): void {
  const prng = new Prng(BigInt(seed));
  const history = randomHistory(prng);
  const engine = new MvccEngine();
  engine.apply(modifiesOf(history));
  for (let i = 0; i < POINTS; i++) {
    const point = randomPoint(prng, history);
    const at = `seed ${seed}, read at ${point.ts} ${point.isolation}`;
    const getter = new PointGetter(engine.snapshot(), new Statistics(), point);
    const order = history.map((_, index) => index);
    prng.shuffle(order);
    for (const index of order) {
      const one = history[index] as KeyHistory;
      assert.equal(seen(getter.get(one.key)), naiveRead(one, point), `get, ${at}, key ${index}`);
    }
    const many = getter.getMany(history.map(({ key }) => key)).map(seen);
    assert.equal(
      many,
      history.map((one) => naiveRead(one, point)),
      `getMany, ${at}`,
    );
    getter.close();
    const bounds = [prng.pick(history).key, prng.pick(history).key].sort(compareBytes);
    const options = {
      lower: prng.ratio(1, 2) ? EMPTY_BYTES : (bounds[0] as Uint8Array),
      upper: prng.ratio(1, 2) ? EMPTY_BYTES : (bounds[1] as Uint8Array),
      reverse: prng.ratio(1, 2),
      limit: prng.pick([1, 2, 100]),
      keyOnly: prng.ratio(1, 4),
      sampleStep: prng.pick([0, 1]),
    };
    const expected = naiveScan(history, point, options);
    if (expected.error === "skip") continue;
    const slice = prng.pick([1, 3, 1000]);
    assert.equal(
      scan(engine, point, options, slice),
      expected,
      `scan ${options.reverse ? "back" : "forth"} in slices of ${slice}, ${at}`,
    );
  }
  assert.is(engine.openCursors, 0, "cursors are closed");
}

test(`${SEEDS} histories read alike`, () => {
  for (let seed = 0; seed < SEEDS; seed++) checkSeed(seed);
});

test("the histories meet every outcome", () => {
  const met = new Map<string, number>();
  for (let seed = 0; seed < 300; seed++) {
    const prng = new Prng(BigInt(seed));
    const history = randomHistory(prng);
    const point = randomPoint(prng, history);
    for (const one of history) {
      const found = naiveRead(one, point);
      const kind =
        found === undefined ? "nothing" : "error" in found ? found.error : `${found.commitTs > 0n}`;
      met.set(kind, (met.get(kind) ?? 0) + 1);
    }
  }
  const kinds = ["nothing", "true", "false", "keyIsLocked", "writeConflict", "defaultNotFound"];
  for (const kind of kinds) assert.ok((met.get(kind) ?? 0) > 5, `${kind} is met`);
});

test.run();
