/**
 * The gate of transactions: 40 seeds of all workloads under all faults, none poor; some again with
 * the same hashes, on the twins too. SIM_SEEDS=n runs fewer.
 *
 * @timeout 1800
 * @exclusive
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type FleetLine, isFailure, runFleet } from "./fleet.js";

const SEEDS = Math.min(40, Number(process.env.SIM_SEEDS ?? 40));
const TWICE = Math.min(10, SEEDS);
const ON_TWINS = Math.min(4, SEEDS);
const WIDTH = 2;
const TXN = { args: ["--txn"] } as const;

const hashes = new Map<string, string>();

function hashOf(line: FleetLine): string {
  return isFailure(line) ? `failed: ${line.failure}` : line.traceHash;
}

test("40 seeds of transactions hold every property, and none is poor", async () => {
  const problems: string[] = [];
  let [committed, stale, simulated, real] = [0, 0, 0, 0];
  for (const line of await runFleet(0, SEEDS, WIDTH, TXN)) {
    hashes.set(line.seed, hashOf(line));
    if (isFailure(line)) {
      problems.push(`npm run sim -- --txn --seed ${line.seed}: ${line.failure}`);
      continue;
    }
    if (line.poor.length > 0) problems.push(`seed ${line.seed} is poor: ${line.poor.join("; ")}`);
    committed += line.acknowledged;
    stale += line.staleReads;
    simulated += line.simulatedSeconds;
    real += line.realSeconds;
  }
  const speed = (simulated / real).toFixed(0);
  console.log(
    `${committed} transactions, ${stale} stale reads, ${simulated.toFixed(0)} s, ${speed} s/s a core`,
  );
  assert.is(problems.join("\n"), "");
  assert.ok(stale >= SEEDS, `${stale} stale reads`);
});

test("some seeds again, in other processes and on the twins: the same hashes", async () => {
  for (const line of await runFleet(0, TWICE, WIDTH, TXN)) {
    assert.is(hashOf(line), hashes.get(line.seed), `seed ${line.seed}`);
  }
  for (const line of await runFleet(0, ON_TWINS, WIDTH, { ...TXN, env: { KERNEL: "js" } })) {
    assert.is(hashOf(line), hashes.get(line.seed), `seed ${line.seed} on the twins`);
  }
});

test.run();
