/**
 * Teeth: each planted bug is found by its recorded seed, by a checker. The clean build passes those
 * seeds in the gates.
 *
 * @variants SIM_SHARD=0,1
 * @timeout 1200
 * @seconds 120
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { argumentsFor } from "./bugs/bug.js";
import { BUGS } from "./bugs/list.js";
import { readFound } from "./bugs/search.js";
import { type FleetLine, isFailure, runRange } from "./fleet.js";

const BUGS_MIN = 12;
const TXN_BUGS_MIN = 11;
const SHARDS = 2;
/** Of gate_test.ts, txn_gate_test.ts and gc_gate_test.ts. */
const SEEDS_OF_GATE = { raw: 200, txn: 40, gc: 12 } as const;
const found = readFound();

async function runOne(seed: number, args: readonly string[]): Promise<FleetLine> {
  return (await runRange(seed, seed + 1, { args }))[0] as FleetLine;
}

test("at least 12 bugs of regions and 11 of transactions have a seed that finds them", () => {
  const hits = BUGS.filter(({ name }) => found[name] !== undefined);
  const ofTxns = hits.filter(({ workload }) => workload !== undefined);
  assert.ok(hits.length - ofTxns.length >= BUGS_MIN, `${hits.length - ofTxns.length}`);
  assert.ok(ofTxns.length >= TXN_BUGS_MIN, `${ofTxns.length}`);
});

test("the gates run those seeds without the bugs", () => {
  for (const { name, workload } of BUGS) {
    const seeds = SEEDS_OF_GATE[workload ?? "raw"];
    const seed = found[name]?.seed ?? 0;
    assert.ok(seed < seeds, `${name}: seed ${seed}`);
  }
});

const planted = BUGS.filter(({ name }) => found[name] !== undefined);
const shard = process.env.SIM_SHARD;
const mine = planted.filter((_, i) => shard === undefined || i % SHARDS === Number(shard));
for (const bug of mine) {
  const seed = found[bug.name]?.seed as number;
  test(`${bug.name} is found by seed ${seed}`, async () => {
    const line = await runOne(seed, argumentsFor(bug));
    assert.ok(isFailure(line), "the bug is not found");
    assert.is.not(line.checker, "", line.failure);
  });
}

test.run();
