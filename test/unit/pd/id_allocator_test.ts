import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { U64_MAX } from "../../../src/base/index.js";
import { ID_ALLOC_STEP, IdAllocator } from "../../../src/pd/id/index.js";

const arbitraryStep = fc.record({
  count: fc.integer({ min: 1, max: 2500 }),
  crash: fc.boolean(),
  saveLost: fc.boolean(),
});

test("property: ids are never given twice, whatever is lost in a crash", () => {
  fc.assert(
    fc.property(fc.array(arbitraryStep, { maxLength: 50 }), (steps) => {
      let disk = 0n;
      let allocator = new IdAllocator(disk);
      let largest = 0n;
      for (const { count, crash, saveLost } of steps) {
        let got = allocator.alloc(BigInt(count));
        if (got.kind === "save") {
          if (crash && saveLost) {
            allocator = new IdAllocator(disk);
            continue;
          }
          disk = got.end;
          allocator.saved(disk);
          got = allocator.alloc(BigInt(count));
        }
        const last = got.kind === "ok" ? got.last : -1n;
        assert.ok(last - BigInt(count) >= largest, "the block is new");
        assert.ok(last <= disk, "given only below the persisted end");
        largest = last;
        if (crash) allocator = new IdAllocator(disk);
      }
    }),
    { numRuns: 200 },
  );
});

test("ids begin at 1; a window is 1,000", () => {
  const allocator = new IdAllocator(0n);
  assert.equal(allocator.alloc(1n), { kind: "save", end: ID_ALLOC_STEP });
  allocator.saved(1000n);
  assert.equal(allocator.alloc(1n), { kind: "ok", last: 1n });
  assert.equal(allocator.alloc(10n), { kind: "ok", last: 11n });
});

test("the space ends at 2^64 - 1", () => {
  const allocator = new IdAllocator(U64_MAX - 5n);
  assert.equal(allocator.alloc(2n), { kind: "save", end: U64_MAX });
  allocator.saved(U64_MAX);
  assert.equal(allocator.alloc(5n), { kind: "ok", last: U64_MAX });
  assert.equal(allocator.alloc(1n), { kind: "exhausted" });
});

test.run();
