/**
 * The gate of transactions: 40 seeds of all workloads under all faults, none poor; some again in
 * other processes with the same hashes, some of those on the twins. SIM_SEEDS=n runs fewer.
 *
 * @variants SIM_SHARD=0,1,2,3
 * @timeout 1800
 * @seconds 100
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { hashOf, isFailure, runRange, seedShare } from "./fleet.js";

const SEEDS = 40;
const SHARDS = 4;
const AGAIN = 12;
const ON_TWINS = 4;
const TXN = { args: ["--txn"] } as const;
const share = seedShare(SEEDS, SHARDS);

const hashes = new Map<string, string>();

test("the seeds of transactions hold every property, and none is poor", async () => {
  const problems: string[] = [];
  let [committed, stale, simulated] = [0, 0, 0];
  const lines = await runRange(share.from, share.to, TXN);
  assert.is(lines.length, share.count);
  for (const line of lines) {
    hashes.set(line.seed, hashOf(line));
    if (isFailure(line)) {
      problems.push(`npm run sim -- --txn --seed ${line.seed}: ${line.failure}`);
      continue;
    }
    if (line.poor.length > 0) problems.push(`seed ${line.seed} is poor: ${line.poor.join("; ")}`);
    committed += line.acknowledged;
    stale += line.staleReads;
    simulated += line.simulatedSeconds;
  }
  console.log(`${committed} transactions, ${stale} stale reads, ${simulated.toFixed(0)} s`);
  assert.is(problems.join("\n"), "");
  assert.ok(stale >= share.count, `${stale} stale reads`);
});

test("some seeds again, in other processes and on the twins: the same hashes", async () => {
  const twinsTo = share.againTo(ON_TWINS);
  const runs = [
    ...(await runRange(share.from, twinsTo, { ...TXN, env: { KERNEL: "js" } })),
    ...(await runRange(twinsTo, share.againTo(AGAIN), TXN)),
  ];
  for (const line of runs) {
    assert.is(hashOf(line), hashes.get(line.seed), `seed ${line.seed}`);
  }
});

test.run();
