/**
 * The gate of GC: transactions under all faults while GC runs a few seconds behind them; whatever a
 * snapshot sees, it still sees. SIM_SEEDS=n runs fewer.
 *
 * @variants SIM_SHARD=0,1,2
 * @timeout 1200
 * @seconds 80
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isFailure, runRange, seedShare } from "./fleet.js";

const SEEDS = 12;
const SHARDS = 3;

test("the seeds of transactions with GC hold every property", async () => {
  const problems: string[] = [];
  let committed = 0;
  const { from, to, count } = seedShare(SEEDS, SHARDS);
  const lines = await runRange(from, to, { args: ["--gc"] });
  assert.is(lines.length, count);
  for (const line of lines) {
    if (isFailure(line)) problems.push(`npm run sim -- --gc --seed ${line.seed}: ${line.failure}`);
    else committed += line.acknowledged;
  }
  console.log(`${committed} transactions`);
  assert.is(problems.join("\n"), "");
});

test.run();
