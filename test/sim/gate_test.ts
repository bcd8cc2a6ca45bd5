/**
 * The gate: 200 seeds, none poor, every kind of fault in each share of them; some again in other
 * processes with the same hashes, some of those on the twins. SIM_SEEDS=n runs fewer, and then does
 * not ask for every kind of fault.
 *
 * @variants SIM_SHARD=0,1,2,3
 * @timeout 1800
 * @seconds 150
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type FleetLine, hashOf, isFailure, runRange, seedShare } from "./fleet.js";
import { FAULT_KINDS } from "./options.js";

const SEEDS = 200;
const SHARDS = 4;
const AGAIN = 50;
const ON_TWINS = 20;
const share = seedShare(SEEDS, SHARDS);

const hashes = new Map<string, string>();

/** Counts the faults by kind; returns what is wrong with the runs. */
function judge(lines: readonly FleetLine[], faults: Map<string, number>): string[] {
  const problems: string[] = [];
  for (const line of lines) {
    hashes.set(line.seed, hashOf(line));
    if (isFailure(line)) {
      problems.push(`npm run sim -- --seed ${line.seed}: ${line.failure}`);
      continue;
    }
    if (line.poor.length > 0) problems.push(`seed ${line.seed} is poor: ${line.poor.join("; ")}`);
    for (const kind of FAULT_KINDS) faults.set(kind, (faults.get(kind) ?? 0) + line.faults[kind]);
  }
  return problems;
}

test("the seeds hold every property, none is poor, every kind of fault occurs", async () => {
  const lines = await runRange(share.from, share.to);
  assert.is(lines.length, share.count);
  const faults = new Map<string, number>(FAULT_KINDS.map((kind) => [kind, 0]));
  const problems = judge(lines, faults);
  console.log([...faults].map(([kind, count]) => `${kind}=${count}`).join(" "));
  assert.is(problems.join("\n"), "");
  if (process.env.SIM_SEEDS !== undefined) return;
  assert.equal(
    [...faults].filter(([, count]) => count === 0).map(([kind]) => kind),
    [],
  );
});

test("some seeds again, in other processes: the same hashes", async () => {
  const twinsTo = share.againTo(ON_TWINS);
  for (const line of await runRange(twinsTo, share.againTo(AGAIN))) {
    assert.is(hashOf(line), hashes.get(line.seed), `seed ${line.seed}`);
  }
});

test("some on the twins of the kernels: the same hashes", async () => {
  const env = { KERNEL: "js" };
  for (const line of await runRange(share.from, share.againTo(ON_TWINS), { env })) {
    assert.is(hashOf(line), hashes.get(line.seed), `seed ${line.seed}`);
  }
});

test.run();
