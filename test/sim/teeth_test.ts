/**
 * Teeth: each planted bug is found by its recorded seed, by a checker, and the clean build passes
 * that seed.
 *
 * @timeout 1200
 * @exclusive
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BUGS } from "./bugs/list.js";
import { readFound } from "./bugs/search.js";
import { type FleetLine, isFailure, runRange } from "./fleet.js";

const BUGS_MIN = 12;
const found = readFound();

async function runOne(seed: number, args: readonly string[]): Promise<FleetLine> {
  return (await runRange(seed, seed + 1, { args }))[0] as FleetLine;
}

test("at least 12 bugs have a seed that finds them", () => {
  const names = new Set(BUGS.map((bug) => bug.name));
  assert.ok(Object.keys(found).filter((name) => names.has(name)).length >= BUGS_MIN);
});

for (const { name } of BUGS) {
  const hit = found[name];
  if (hit === undefined) continue;
  test(`${name} is found by seed ${hit.seed}`, async () => {
    const line = await runOne(hit.seed, ["--bug", name]);
    assert.ok(isFailure(line), "the bug is not found");
    assert.is.not(line.checker, "", line.failure);
  });
}

test("the clean build passes those seeds", async () => {
  for (const seed of new Set(Object.values(found).map((hit) => hit.seed))) {
    const line = await runOne(seed, []);
    assert.not.ok(isFailure(line), `seed ${seed}: ${isFailure(line) ? line.failure : ""}`);
  }
});

test.run();
