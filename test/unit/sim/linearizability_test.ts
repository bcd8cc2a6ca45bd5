/** The checker of histories against one that tries every order. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import { checkLinearizability, isLinearizable } from "../../sim/checkers/index.js";
import { step } from "../../sim/checkers/linearizability.js";
import {
  DONE,
  History,
  type Operation,
  type Outcome,
  type Record,
  type Value,
} from "../../sim/history.js";

const HISTORIES = 20_000;

/** Tries every order that respects real time. */
function bruteForce(records: readonly Record[], value: Value = null): boolean {
  if (records.every((record) => record.outcome === undefined)) return true;
  return records.some((record) => {
    const isLate = records.some((other) => other !== record && other.returnedUs < record.calledUs);
    if (isLate) return false;
    const after = step(value, record);
    const rest = records.filter((other) => other !== record);
    return after !== undefined && bruteForce(rest, after.value);
  });
}

function randomOperation(prng: Prng, value: string, values: readonly Value[]): Operation {
  switch (prng.below(4)) {
    case 0:
      return { kind: "put", value };
    case 1:
      return { kind: "cas", expect: prng.pick(values), value };
    case 2:
      return prng.ratio(1, 2) ? { kind: "delete" } : { kind: "put", value };
    default:
      return { kind: "get" };
  }
}

/** A history whose answers come from a real register, some of them changed. */
function randomHistory(prng: Prng): Record[] {
  const history = new History();
  const count = prng.range(2, 8);
  const values: Value[] = [null];
  const running: { record: Record; outcome: Outcome; lost: boolean }[] = [];
  let value: Value = null;
  let nowUs = 0;
  const finish = (): void => {
    const [call] = running.splice(prng.below(running.length), 1);
    if (call !== undefined && !call.lost) history.complete(call.record, call.outcome, nowUs);
  };
  for (let i = 0; i < count; i++) {
    nowUs += prng.below(2);
    while (running.length > 0 && prng.ratio(1, 2)) finish();
    nowUs += prng.below(2);
    const operation = randomOperation(prng, `v${i}`, values);
    const record = history.call(i, "k", operation, nowUs);
    if ("value" in operation) values.push(operation.value);
    const before: Value = value;
    const lost = prng.ratio(1, 4);
    if (!lost || prng.ratio(1, 2)) value = (step(value, record) as { value: Value }).value;
    const swapped = operation.kind === "cas" && before === operation.expect;
    const seen = prng.ratio(1, 3) ? prng.pick(values) : before;
    const sees = operation.kind === "get" || operation.kind === "cas";
    running.push({ record, outcome: sees ? { seen, swapped } : DONE, lost });
  }
  while (running.length > 0) {
    nowUs += prng.below(2);
    finish();
  }
  return history.records;
}

test("the search agrees with brute force on random histories", () => {
  const prng = new Prng(77n);
  const counts = { legal: 0, illegal: 0, open: 0 };
  for (let i = 0; i < HISTORIES; i++) {
    const records = randomHistory(prng);
    const expected = bruteForce(records);
    assert.is(isLinearizable("k", records), expected, JSON.stringify(records));
    counts[expected ? "legal" : "illegal"]++;
    if (records.some((record) => record.outcome === undefined)) counts.open++;
  }
  assert.ok(
    counts.legal > 2000 && counts.illegal > 2000 && counts.open > 5000,
    JSON.stringify(counts),
  );
});

function historyOf(
  rows: readonly (readonly [number, number, Operation, Outcome | undefined])[],
): Record[] {
  const history = new History();
  for (const [calledUs, returnedUs, operation, outcome] of rows) {
    const record = history.call(1, "k", operation, calledUs);
    if (outcome !== undefined) history.complete(record, outcome, returnedUs);
  }
  return history.records;
}

const saw = (seen: Value, swapped = false): Outcome => ({ seen, swapped });

test("a stale read is not linearizable, a concurrent one is", () => {
  const stale = historyOf([
    [0, 1, { kind: "put", value: "a" }, DONE],
    [2, 3, { kind: "put", value: "b" }, DONE],
    [4, 5, { kind: "get" }, saw("a")],
  ]);
  assert.not.ok(isLinearizable("k", stale));
  assert.throws(() => checkLinearizability(new Map([["k", stale]])), /linearizability: key k/);
  const concurrent = historyOf([
    [0, 1, { kind: "put", value: "a" }, DONE],
    [2, 6, { kind: "put", value: "b" }, DONE],
    [4, 5, { kind: "get" }, saw("a")],
  ]);
  assert.ok(isLinearizable("k", concurrent));
});

test("an open write may take effect late, and only once", () => {
  const late = historyOf([
    [0, 0, { kind: "put", value: "a" }, undefined],
    [1, 2, { kind: "get" }, saw(null)],
    [3, 4, { kind: "get" }, saw("a")],
  ]);
  assert.ok(isLinearizable("k", late));
  const twice = historyOf([
    [0, 0, { kind: "put", value: "a" }, undefined],
    [1, 2, { kind: "get" }, saw("a")],
    [3, 4, { kind: "put", value: "b" }, DONE],
    [5, 6, { kind: "get" }, saw("a")],
  ]);
  assert.not.ok(isLinearizable("k", twice));
});

test("two swaps of one value cannot both succeed", () => {
  const records = historyOf([
    [0, 5, { kind: "cas", expect: null, value: "a" }, saw(null, true)],
    [0, 5, { kind: "cas", expect: null, value: "b" }, saw(null, true)],
  ]);
  assert.not.ok(isLinearizable("k", records));
});

test("a long history with many open operations is decided", () => {
  const rows: [number, number, Operation, Outcome | undefined][] = [];
  for (let i = 0; i < 600; i++) {
    rows.push([i * 10, i * 10 + 25, { kind: "put", value: `v${i}` }, DONE]);
    if (i % 10 === 0) rows.push([i * 10 + 1, 0, { kind: "delete" }, undefined]);
    if (i % 7 === 0) rows.push([i * 10 + 2, 0, { kind: "put", value: `o${i}` }, undefined]);
    const seen = i % 50 === 49 ? `o${Math.floor((i - 20) / 7) * 7}` : `v${i}`;
    rows.push([i * 10 + 5, i * 10 + 28, { kind: "get" }, saw(seen)]);
  }
  assert.ok(isLinearizable("k", historyOf(rows)));
  rows.push([6050, 6060, { kind: "get" }, saw("v3")]);
  assert.not.ok(isLinearizable("k", historyOf(rows)));
});

test.run();
