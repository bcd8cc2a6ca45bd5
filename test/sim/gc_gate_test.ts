/**
 * The gate of GC: transactions under all faults while GC runs a few seconds behind them; whatever a
 * snapshot sees, it still sees. SIM_SEEDS=n runs fewer.
 *
 * @timeout 1200
 * @exclusive
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isFailure, runFleet } from "./fleet.js";

const SEEDS = Math.min(12, Number(process.env.SIM_SEEDS ?? 12));

test("12 seeds of transactions with GC hold every property", async () => {
  const problems: string[] = [];
  let committed = 0;
  for (const line of await runFleet(0, SEEDS, 2, { args: ["--gc"] })) {
    if (isFailure(line)) problems.push(`npm run sim -- --gc --seed ${line.seed}: ${line.failure}`);
    else committed += line.acknowledged;
  }
  console.log(`${committed} transactions`);
  assert.is(problems.join("\n"), "");
});

test.run();
