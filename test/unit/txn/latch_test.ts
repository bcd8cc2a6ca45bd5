/** Latches: FIFO per key, no circular waits, nothing left behind. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { hashKey, Latches, type LatchRequest, latchRequest } from "../../../src/txn/index.js";

const request = (...keys: string[]): LatchRequest => latchRequest(keys.map(utf8));

test("commands of one key run one after the other, in order of arrival", () => {
  const latches = new Latches();
  const [a, b, c] = [request("k"), request("k"), request("k")];
  assert.ok(latches.acquire(a, 1));
  assert.not.ok(latches.acquire(b, 2));
  assert.not.ok(latches.acquire(c, 3));
  assert.equal(latches.release(a, 1), [2]);
  assert.ok(latches.acquire(b, 2));
  assert.equal(latches.release(b, 2), [3]);
  assert.ok(latches.acquire(c, 3));
  assert.equal(latches.release(c, 3), []);
  assert.is(latches.held, 0);
});

test("commands of other keys do not wait", () => {
  const latches = new Latches();
  assert.ok(latches.acquire(request("a"), 1));
  assert.ok(latches.acquire(request("b"), 2));
});

test("a key named twice needs one latch", () => {
  assert.is(request("a", "a", "b").hashes.length, 2);
  assert.is(hashKey(utf8("a")), hashKey(utf8("a")));
});

test("random commands: holders never overlap, and all of them get through", () => {
  const commands = fc.array(fc.uniqueArray(fc.nat(4), { minLength: 1 }), { maxLength: 30 });
  fc.assert(
    fc.property(commands, fc.infiniteStream(fc.nat()), (all, choices) => {
      const latches = new Latches();
      const requests = all.map((keys) => request(...keys.map(String)));
      const holders = new Set<number>();
      const enter = (id: number): void => {
        if (!latches.acquire(requests[id] as LatchRequest, id)) return;
        for (const other of holders) {
          const shared = all[other]?.some((key) => all[id]?.includes(key));
          assert.not.ok(shared, `commands ${other} and ${id} hold one key`);
        }
        holders.add(id);
      };
      let finished = 0;
      let next = 0;
      while (finished < all.length) {
        const choice = choices.next().value as number;
        if (next < all.length && (holders.size === 0 || choice % 2 === 0)) {
          enter(next++);
          continue;
        }
        const id = [...holders][choice % holders.size] as number;
        holders.delete(id);
        finished++;
        for (const woken of latches.release(requests[id] as LatchRequest, id)) enter(woken);
      }
      assert.is(latches.held, 0);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test.run();
