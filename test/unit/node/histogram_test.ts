/** Histograms as the registry renders them, compared with the library's own. */
import * as prom from "prom-client";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import { CountedHistogram } from "../../../src/node/histogram.js";

const SHAPES = [
  { name: "plain", help: "No labels." },
  { name: "one", help: "One\nlabel.", labelNames: ["type"], buckets: [0.001, 0.5, 1, 2] },
  { name: "two", help: "Two.", labelNames: ["type", "cf"], buckets: [1] },
];
const LABELS = ['a "quoted" one', "b", ""];

for (const shape of SHAPES) {
  test(`as prom-client counts and writes: ${shape.name}`, async () => {
    const [ours, theirs] = [new prom.Registry(), new prom.Registry()];
    const counted = new CountedHistogram(shape, ours);
    const { labelNames = [] } = shape;
    const library = new prom.Histogram({ ...shape, labelNames, registers: [theirs] });
    assert.is(await ours.metrics(), await theirs.metrics(), "before anything is observed");
    const prng = new Prng(3n);
    for (let i = 0; i < 500; i++) {
      // Bounds themselves too, and sums without rounding.
      const value = prng.range(0, 48) / 16;
      const labels = Object.fromEntries(labelNames.map((name) => [name, prng.pick(LABELS)]));
      counted.observe(value, labels);
      library.observe(labels, value);
    }
    assert.is(await ours.metrics(), await theirs.metrics());
  });
}

test.run();
