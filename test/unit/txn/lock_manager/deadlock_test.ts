/** The wait-for graph: circles are found, with their chain, and nothing else is (semantics 2.10). */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../../src/base/index.js";
import { type DeadlockFound, DetectTable, type WaitForEntry } from "../../../../src/txn/index.js";

const TTL = 1000;

function edge(txn: number, waitForTxn: number, keyHash = txn * 100 + waitForTxn): WaitForEntry {
  return {
    txn: BigInt(txn),
    waitForTxn: BigInt(waitForTxn),
    keyHash: BigInt(keyHash),
    key: utf8(`key${keyHash}`),
    resourceGroupTag: utf8(`tag${txn}`),
  };
}

/** Adds edges at time 0; none closes a circle. */
function tableOf(...edges: readonly WaitForEntry[]): DetectTable {
  const table = new DetectTable(TTL);
  for (const one of edges) assert.is(table.detect(0, one), undefined);
  return table;
}

test("two transactions that wait for each other: the second one is told", () => {
  const table = tableOf(edge(1, 2));
  const found = table.detect(0, edge(2, 1));
  assert.equal(found, { edge: edge(2, 1), deadlockKeyHash: 102n, waitChain: [edge(1, 2)] });
});

test("a longer circle: the chain leads from the lock's holder back to the waiter", () => {
  const table = tableOf(edge(2, 3), edge(2, 9), edge(3, 4), edge(3, 8), edge(4, 1));
  const found = table.detect(0, edge(1, 2));
  assert.equal(found?.waitChain, [edge(2, 3), edge(3, 4), edge(4, 1)]);
  assert.is(found?.deadlockKeyHash, 401n);
});

test("an edge that closes a circle is left out", () => {
  const table = tableOf(edge(1, 2));
  assert.ok(table.detect(0, edge(2, 1)) !== undefined);
  assert.is(table.size, 1);
  table.cleanUpWaitFor(edge(1, 2));
  assert.is(table.detect(0, edge(2, 1)), undefined);
});

test("a diamond is no circle", () => {
  const table = tableOf(edge(1, 2), edge(1, 3), edge(2, 4), edge(3, 4));
  assert.is(table.size, 4);
});

test("clean_up_wait_for: an edge lives until its last key is taken back", () => {
  const table = tableOf(edge(1, 2, 11), edge(1, 2, 12));
  assert.is(table.size, 1);
  table.cleanUpWaitFor(edge(1, 2, 11));
  assert.is(table.detect(0, edge(2, 1))?.deadlockKeyHash, 12n);
  table.cleanUpWaitFor(edge(1, 2, 99));
  assert.is(table.size, 1);
  table.cleanUpWaitFor(edge(1, 2, 12));
  assert.is(table.size, 0);
  assert.is(table.detect(0, edge(2, 1)), undefined);
});

test("clean_up_wait_for: the key that came first may stay longest", () => {
  const table = tableOf(edge(1, 2, 11), edge(1, 2, 12));
  table.cleanUpWaitFor(edge(1, 2, 12));
  assert.is(table.detect(0, edge(2, 1))?.deadlockKeyHash, 11n);
});

test("clean_up: all edges of a transaction go", () => {
  const table = tableOf(edge(1, 2), edge(1, 3), edge(4, 1));
  table.cleanUp(1n);
  assert.is(table.size, 1);
  assert.is(table.detect(0, edge(2, 1)), undefined);
  assert.is(table.detect(0, edge(1, 9)), undefined);
});

test("clear: everything goes", () => {
  const table = tableOf(edge(1, 2), edge(3, 4));
  table.clear();
  assert.is(table.size, 0);
  assert.is(table.detect(0, edge(2, 1)), undefined);
});

test("TTL: an edge that was not renewed for so long closes no circle", () => {
  assert.ok(tableOf(edge(1, 2)).detect(TTL - 1, edge(2, 1)) !== undefined);
  const table = tableOf(edge(1, 2));
  assert.is(table.detect(TTL, edge(2, 1)), undefined);
  assert.is(table.size, 1);
});

test("TTL: asking again renews an edge", () => {
  const table = tableOf(edge(1, 2));
  assert.is(table.detect(TTL - 1, edge(1, 2)), undefined);
  assert.ok(table.detect(TTL + 500, edge(2, 1)) !== undefined);
});

test("TTL: an expired edge that comes back is checked anew", () => {
  const table = tableOf(edge(1, 2));
  assert.is(table.detect(TTL, edge(2, 1)), undefined);
  assert.ok(table.detect(TTL + 1, edge(1, 2)) !== undefined);
});

test("bound: one edge too many is not registered, expired ones make room", () => {
  const table = new DetectTable(TTL, 2);
  for (const one of [edge(1, 2), edge(3, 4), edge(5, 6)]) table.detect(0, one);
  assert.is(table.size, 2);
  table.detect(20_000, edge(5, 6));
  assert.is(table.size, 1);
  assert.ok(table.detect(20_000, edge(6, 5)) !== undefined);
});

/** What the table must know: live edges by (txn, waitForTxn), with the keys and the last time. */
class Model {
  private readonly edges = new Map<string, { keys: Set<number>; at: number }>();

  private reaches(now: number, from: number, goal: number, seen = new Set<number>()): boolean {
    if (from === goal) return true;
    if (seen.has(from)) return false;
    seen.add(from);
    return [...this.edges].some(([id, { at }]) => {
      const [txn, next] = id.split(">").map(Number) as [number, number];
      return txn === from && now - at < TTL && this.reaches(now, next, goal, seen);
    });
  }

  /** Returns whether the edge closes a circle. */
  detect(now: number, txn: number, wait: number, key: number): boolean {
    const id = `${txn}>${wait}`;
    const known = this.edges.get(id);
    if (known !== undefined && now - known.at < TTL) {
      known.keys.add(key);
      known.at = now;
      return false;
    }
    if (this.reaches(now, wait, txn)) return true;
    this.edges.set(id, { keys: new Set([key]), at: now });
    return false;
  }

  cleanUpWaitFor(txn: number, wait: number, key: number): void {
    const id = `${txn}>${wait}`;
    const known = this.edges.get(id);
    known?.keys.delete(key);
    if (known?.keys.size === 0) this.edges.delete(id);
  }

  cleanUp(txn: number): void {
    for (const id of [...this.edges.keys()]) if (id.startsWith(`${txn}>`)) this.edges.delete(id);
  }
}

/** The chain leads from the wanted lock's holder to the waiter, edge by edge. */
function checkChain({ edge: last, waitChain, deadlockKeyHash }: DeadlockFound): void {
  assert.is(waitChain[0]?.txn, last.waitForTxn);
  assert.is(waitChain.at(-1)?.waitForTxn, last.txn);
  assert.is(waitChain.at(-1)?.keyHash, deadlockKeyHash);
  for (const [at, { waitForTxn }] of waitChain.entries()) {
    if (at + 1 < waitChain.length) assert.is(waitChain[at + 1]?.txn, waitForTxn);
  }
  assert.is(
    new Set(waitChain.map(({ txn }) => txn)).size,
    waitChain.length,
    "no loop in the chain",
  );
}

test("random edges, renewals and clean-ups: circles are found when and only when they are there", () => {
  const txn = fc.integer({ min: 1, max: 4 });
  const step = fc.record({
    kind: fc.constantFrom("detect", "detect", "detect", "cleanUpWaitFor", "cleanUp"),
    edge: fc.tuple(txn, txn, fc.integer({ min: 1, max: 3 })).filter(([a, b]) => a !== b),
    pause: fc.constantFrom(0, 0, 0, 1, 50, 600),
  });
  let circles = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
      const table = new DetectTable(TTL);
      const model = new Model();
      let now = 0;
      for (const [
        index,
        {
          kind,
          edge: [from, to, key],
          pause,
        },
      ] of steps.entries()) {
        now += pause;
        const entry = edge(from, to, key);
        if (kind === "cleanUp") {
          table.cleanUp(entry.txn);
          model.cleanUp(from);
        } else if (kind === "cleanUpWaitFor") {
          table.cleanUpWaitFor(entry);
          model.cleanUpWaitFor(from, to, key);
        } else {
          const found = table.detect(now, entry);
          const expected = model.detect(now, from, to, key);
          assert.is(found !== undefined, expected, `step ${index}`);
          if (found !== undefined) {
            circles++;
            checkChain(found);
          }
        }
      }
    }),
    { seed: 4, numRuns: 500 },
  );
  assert.ok(circles > 1000, `${circles} circles were met`);
});

test.run();
