/** The heap against sorting. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MinHeap } from "../../../src/base/index.js";

const compare = (a: number, b: number): number => a - b;

test("items come out in order, whatever was pushed, popped and dropped between", () => {
  const steps = fc.array(fc.oneof(fc.nat(50), fc.constantFrom("pop", "retain")), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(steps, (all) => {
      const heap = new MinHeap(compare);
      let model: number[] = [];
      for (const step of all) {
        if (typeof step === "number") {
          heap.push(step);
          model = [...model, step].sort(compare);
        } else if (step === "pop") {
          assert.is(heap.pop(), model.shift());
        } else {
          heap.retain((item) => item % 3 !== 0);
          model = model.filter((item) => item % 3 !== 0);
        }
        assert.is(heap.size, model.length);
        assert.is(heap.peek(), model[0]);
      }
      while (heap.size > 0) assert.is(heap.pop(), model.shift());
      assert.is(model.length, 0);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test.run();
