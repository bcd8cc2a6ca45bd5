/**
 * Teeth: each planted bug is found by its recorded seed, by a checker, and the clean build passes
 * that seed.
 *
 * @timeout 1200
 * @exclusive
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { argumentsFor } from "./bugs/bug.js";
import { BUGS } from "./bugs/list.js";
import { readFound } from "./bugs/search.js";
import { type FleetLine, isFailure, runRange } from "./fleet.js";

const BUGS_MIN = 12;
const TXN_BUGS_MIN = 8;
const found = readFound();

async function runOne(seed: number, args: readonly string[]): Promise<FleetLine> {
  return (await runRange(seed, seed + 1, { args }))[0] as FleetLine;
}

test("at least 12 bugs of regions and 8 of transactions have a seed that finds them", () => {
  const hits = BUGS.filter(({ name }) => found[name] !== undefined);
  const ofTxns = hits.filter(({ workload }) => workload === "txn");
  assert.ok(hits.length - ofTxns.length >= BUGS_MIN, `${hits.length - ofTxns.length}`);
  assert.ok(ofTxns.length >= TXN_BUGS_MIN, `${ofTxns.length}`);
});

for (const bug of BUGS) {
  const { name } = bug;
  const hit = found[name];
  if (hit === undefined) continue;
  test(`${name} is found by seed ${hit.seed}`, async () => {
    const line = await runOne(hit.seed, argumentsFor(bug));
    assert.ok(isFailure(line), "the bug is not found");
    assert.is.not(line.checker, "", line.failure);
  });
}

test("the clean build passes those seeds", async () => {
  for (const workload of [undefined, "txn"]) {
    const hits = BUGS.filter((bug) => bug.workload === workload).map(({ name }) => found[name]);
    for (const seed of new Set(hits.flatMap((hit) => (hit === undefined ? [] : [hit.seed])))) {
      const line = await runOne(seed, workload === undefined ? [] : ["--txn"]);
      assert.not.ok(isFailure(line), `seed ${seed}: ${isFailure(line) ? line.failure : ""}`);
    }
  }
});

test.run();
