/** Replicas answer stale reads up to what a leader promised for what they have applied. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ReadProgress, type ReadState } from "../../../../src/storage/resolved_ts/progress.js";

const state = (appliedIndex: number, safeTs: bigint): ReadState => ({ appliedIndex, safeTs });
const peer = (applied: number, regionId = 2) => ({ regionId, applied });

test("a promise counts once the replica has applied as far", () => {
  const progress = new ReadProgress();
  assert.is(progress.safeTs(peer(9)), 0n);
  progress.advance(2, state(10, 100n));
  progress.advance(2, state(12, 200n));
  assert.is(progress.safeTs(peer(9)), 0n);
  assert.is(progress.safeTs(peer(11)), 100n);
  assert.is(progress.safeTs(peer(12)), 200n);
  assert.is(progress.safeTs(peer(12, 3)), 0n, "another region");
});

test("what comes late does not take a promise back", () => {
  const progress = new ReadProgress();
  progress.advance(2, state(10, 100n));
  assert.is(progress.safeTs(peer(10)), 100n);
  progress.advance(2, state(9, 50n));
  progress.advance(2, state(20, 100n));
  assert.is(progress.safeTs(peer(10)), 100n);
  progress.advance(2, state(10, 300n));
  assert.is(progress.safeTs(peer(10)), 300n);
});

test("a replica that is far behind keeps a bounded list and still gets there", () => {
  const progress = new ReadProgress();
  for (let i = 1; i <= 1000; i++) progress.advance(2, state(i, BigInt(i)));
  assert.ok(progress.safeTs(peer(30)) <= 30n);
  assert.is(progress.safeTs(peer(1000)), 1000n);
});

test("regions that are gone are forgotten", () => {
  const progress = new ReadProgress();
  progress.advance(2, state(1, 5n));
  progress.retain((regionId) => regionId !== 2);
  assert.is(progress.safeTs(peer(1)), 0n);
});

test("never more than the largest promise for what is applied, never less than before", () => {
  const step = fc.oneof(
    fc.record({ index: fc.nat(40), ts: fc.bigInt(0n, 400n) }),
    fc.record({ applied: fc.nat(5) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const progress = new ReadProgress();
      const told: ReadState[] = [];
      let [applied, before] = [0, 0n];
      for (const one of steps) {
        if ("index" in one) {
          told.push(state(one.index, one.ts));
          progress.advance(2, state(one.index, one.ts));
        } else applied += one.applied;
        const safeTs = progress.safeTs(peer(applied));
        const allowed = told.filter(({ appliedIndex }) => appliedIndex <= applied);
        assert.ok(safeTs === 0n || allowed.some((known) => known.safeTs === safeTs));
        assert.ok(safeTs >= before);
        before = safeTs;
      }
    }),
    { seed: 11 },
  );
});

test.run();
