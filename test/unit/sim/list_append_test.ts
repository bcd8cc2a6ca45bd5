/** The transaction checkers accept what snapshot isolation allows and nothing else. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import { DependencyGraph, type Edge, type EdgeKind, forbiddenCycle } from "../../sim/txn/graph.js";
import type { TxnOperation, TxnOutcome, TxnRecord } from "../../sim/txn/history.js";
import { checkListAppend, checkNothingLost } from "../../sim/txn/list_append.js";
import {
  checkBank,
  checkLongFork,
  checkMonotonic,
  type SnapshotRow,
} from "../../sim/txn/snapshots.js";

const append = (key: string, value: number): TxnOperation => ({ kind: "append", key, value });
const read = (key: string, ...list: number[]): TxnOperation => ({ kind: "read", key, list });

/** Transactions that all overlap in time, unless told otherwise. */
function history(
  ...rows: readonly (readonly [TxnOutcome, readonly TxnOperation[], number?, number?])[]
): TxnRecord[] {
  return rows.map(([outcome, operations, calledUs = 0, returnedUs = 1000], id) => ({
    id,
    client: id,
    operations: [...operations],
    calledUs,
    returnedUs: outcome === "unknown" ? Number.POSITIVE_INFINITY : returnedUs,
    outcome,
  }));
}

const ok = "committed";

test("each anomaly is named", () => {
  const table: readonly (readonly [string, RegExp, TxnRecord[]])[] = [
    ["garbage", /nobody appended/, history([ok, [read("x", 1)]])],
    ["twice in a list", /twice/, history([ok, [append("x", 1)]], [ok, [read("x", 1, 1)]])],
    ["aborted read", /G1a/, history(["aborted", [append("x", 1)]], [ok, [read("x", 1)]])],
    [
      "intermediate read",
      /G1b/,
      history([ok, [append("x", 1), append("x", 2)]], [ok, [read("x", 1)]]),
    ],
    [
      "orders that contradict",
      /contradict/,
      history(
        [ok, [append("x", 1)]],
        [ok, [append("x", 2)]],
        [ok, [read("x", 1, 2)]],
        [ok, [read("x", 2)]],
      ),
    ],
    ["own write not seen", /own appends/, history([ok, [append("x", 1), read("x")]])],
    [
      "unrepeatable read",
      /differ/,
      history([ok, [append("x", 1)]], [ok, [read("x"), read("x", 1)]]),
    ],
    [
      "dirty write",
      /G0/,
      history(
        [ok, [append("x", 1), append("y", 1)]],
        [ok, [append("x", 2), append("y", 2)]],
        [ok, [read("x", 1, 2), read("y", 2, 1)]],
      ),
    ],
    [
      "circular information flow",
      /G1c/,
      history([ok, [append("x", 1), read("y", 2)]], [ok, [append("y", 2), read("x", 1)]]),
    ],
    [
      "read skew",
      /G-single/,
      history(
        [ok, [append("x", 1), append("y", 1)]],
        [ok, [read("x", 1), read("y")]],
        [ok, [read("y", 1)]],
      ),
    ],
    [
      "lost update",
      /G-single/,
      history(
        [ok, [read("x"), append("x", 1)]],
        [ok, [read("x"), append("x", 2)]],
        [ok, [read("x", 1, 2)]],
      ),
    ],
    [
      "stale snapshot",
      /G-single/,
      history([ok, [append("x", 1)], 0, 10], [ok, [read("x")], 20, 30], [ok, [read("x", 1)]]),
    ],
    [
      "long fork",
      /G-nonadjacent/,
      history(
        [ok, [append("x", 1)]],
        [ok, [append("y", 1)]],
        [ok, [read("x", 1), read("y")]],
        [ok, [read("x"), read("y", 1)]],
      ),
    ],
  ];
  for (const [name, pattern, records] of table) {
    assert.throws(
      () => checkListAppend(records),
      (e: Error) => pattern.test(e.message),
      name,
    );
  }
});

test("what snapshot isolation allows passes", () => {
  const skew = history(
    [ok, [read("x"), append("y", 1)]],
    [ok, [read("y"), append("x", 1)]],
    [ok, [read("x", 1), read("y", 1)]],
  );
  checkListAppend(skew);
  checkListAppend(history(["unknown", [append("x", 1)]], [ok, [read("x", 1)]], [ok, [read("x")]]));
  checkListAppend(history(["aborted", [append("x", 1), read("y", 7)]], [ok, [read("x")]]));
});

test("a lost acknowledged append is told", () => {
  const records = history([ok, [append("x", 1)]], ["unknown", [append("x", 2)]]);
  checkNothingLost(records, new Map([["x", [1]]]));
  assert.throws(() => checkNothingLost(records, new Map([["x", [2]]])), /lost/);
});

/** Runs random transactions under snapshot isolation; with `broken`, commits skip one check. */
function execute(seed: bigint, broken: boolean): TxnRecord[] {
  const prng = new Prng(seed);
  const keys = ["a", "b", "c"];
  const versions = new Map<string, { readonly ts: number; readonly list: readonly number[] }[]>();
  for (const key of keys) versions.set(key, [{ ts: 0, list: [] }]);
  const at = (key: string, ts: number): readonly number[] =>
    (versions.get(key) ?? []).filter((version) => version.ts <= ts).at(-1)?.list ?? [];
  interface Open {
    readonly record: TxnRecord;
    readonly startTs: number;
    readonly own: Map<string, number[]>;
  }
  const records: TxnRecord[] = [];
  const open: Open[] = [];
  let [clock, value] = [1, 0];
  const begin = (): void => {
    const record: TxnRecord = {
      id: records.length,
      client: 0,
      operations: [],
      calledUs: clock,
      returnedUs: Number.POSITIVE_INFINITY,
      outcome: "unknown",
    };
    records.push(record);
    open.push({ record, startTs: clock++, own: new Map() });
  };
  const act = ({ record, startTs, own }: Open): void => {
    const key = prng.pick(keys);
    const mine = own.get(key) ?? [];
    own.set(key, mine);
    if (prng.ratio(1, 2)) {
      mine.push(++value);
      record.operations.push(append(key, value));
    } else {
      record.operations.push(read(key, ...at(key, startTs), ...mine));
    }
  };
  const commit = ({ record, startTs, own }: Open): void => {
    const written = [...own].filter(([, mine]) => mine.length > 0);
    const conflict = written.some(([key]) => (versions.get(key)?.at(-1)?.ts ?? 0) > startTs);
    const ts = clock++;
    record.outcome = conflict && !broken ? "aborted" : ok;
    record.returnedUs = clock++;
    if (record.outcome !== ok) return;
    for (const [key, mine] of written) {
      const base = broken ? at(key, ts) : at(key, startTs);
      versions.get(key)?.push({ ts, list: [...base, ...mine] });
    }
  };
  for (let step = 0; step < 120; step++) {
    if (open.length < 4 && prng.ratio(1, 3)) begin();
    const index = open.length === 0 ? -1 : prng.below(open.length);
    const txn = open[index];
    if (txn === undefined) continue;
    if (txn.record.operations.length >= 4 || prng.ratio(1, 5)) {
      open.splice(index, 1);
      commit(txn);
    } else act(txn);
  }
  begin();
  const last = open.at(-1) as Open;
  for (const key of keys) last.record.operations.push(read(key, ...at(key, last.startTs)));
  open.pop();
  commit(last);
  return records;
}

test("random histories of snapshot isolation pass; without its write check most fail", () => {
  let caught = 0;
  for (let seed = 1n; seed <= 300n; seed++) {
    checkListAppend(execute(seed, false));
    try {
      checkListAppend(execute(seed, true));
    } catch {
      caught++;
    }
  }
  assert.ok(caught > 200, `${caught} of 300`);
});

/** All simple cycles of a small graph, by trying all paths. */
function cyclesByForce(edges: readonly Edge[]): Edge[][] {
  const found: Edge[][] = [];
  const walk = (path: Edge[]): void => {
    const [first, last] = [path[0] as Edge, path.at(-1) as Edge];
    if (last.to === first.from) {
      found.push(path);
      return;
    }
    for (const edge of edges) {
      const visited = path.some((step) => step.from === edge.to && edge.to !== first.from);
      if (edge.from === last.to && !visited) walk([...path, edge]);
    }
  };
  for (const edge of edges) walk([edge]);
  return found;
}

function isForbidden(cycle: readonly Edge[]): boolean {
  return !cycle.some(
    ({ kind }, i) => kind === "rw" && cycle[(i + 1) % cycle.length]?.kind === "rw",
  );
}

test("forbidden cycles are found exactly where trying all cycles finds one", () => {
  const kind = fc.constantFrom<EdgeKind>("ww", "wr", "rw", "rt");
  const edge = fc.record({ from: fc.nat(4), to: fc.nat(4), kind });
  let [some, none] = [0, 0];
  fc.assert(
    fc.property(fc.array(edge, { maxLength: 9 }), (edges) => {
      const graph = new DependencyGraph();
      for (const { from, to, kind } of edges) graph.add(from, to, kind);
      // A cycle of real-time edges alone cannot occur in a history.
      const expected = cyclesByForce(graph.edges).some(
        (cycle) => isForbidden(cycle) && cycle.some(({ kind }) => kind !== "rt"),
      );
      const cycle = forbiddenCycle(graph);
      if (expected) some++;
      else none++;
      assert.is(cycle !== undefined, expected, JSON.stringify(edges));
      if (cycle !== undefined && cycle.anomaly !== "G-nonadjacent") {
        assert.ok(isForbidden(cycle.edges), JSON.stringify(cycle));
      }
    }),
    { numRuns: 3000, seed: 7 },
  );
  assert.ok(some > 100 && none > 100, `${some} ${none}`);
});

const row = (startTs: bigint, values: readonly number[], calledUs = 0): SnapshotRow => ({
  client: 0,
  startTs,
  calledUs,
  returnedUs: calledUs + 1,
  values,
});

test("bank, long fork and monotonic tell good rows from bad ones", () => {
  checkBank([row(1n, [5, 5]), row(2n, [3, 7])], 10);
  assert.throws(() => checkBank([row(1n, [5, 4])], 10), /9 in place of 10/);
  assert.throws(() => checkBank([row(1n, [-1, 11])], 10), /negative/);
  checkLongFork([row(1n, [0, 0]), row(2n, [1, 1]), row(3n, [0, 1])]);
  assert.throws(() => checkLongFork([row(1n, [1, 0]), row(2n, [0, 1])]), /long-fork/);
  checkMonotonic([row(1n, [0, 1], 0), row(2n, [1, 1], 5)]);
  assert.throws(() => checkMonotonic([row(1n, [2, 0]), row(2n, [1, 1])]), /later timestamp/);
  assert.throws(() => checkMonotonic([row(2n, [1, 0], 0), row(1n, [0, 0], 5)]), /later call/);
});

test.run();
