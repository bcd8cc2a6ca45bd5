/**
 * The gate: 200 seeds, none poor, every kind of fault; the same seeds again give the same hashes,
 * on the twins too. SIM_SEEDS=n runs fewer, and then does not ask for every kind of fault.
 *
 * @timeout 1800
 * @exclusive
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type FleetLine, isFailure, runFleet } from "./fleet.js";
import { FAULT_KINDS } from "./options.js";

const SEEDS_GATE = 200;
const SEEDS = Number(process.env.SIM_SEEDS ?? SEEDS_GATE);
const TWICE = Math.min(50, SEEDS);
const ON_TWINS = Math.min(20, SEEDS);
const WIDTH = 2;

const hashes = new Map<string, string>();

function hashOf(line: FleetLine): string {
  return isFailure(line) ? `failed: ${line.failure}` : line.traceHash;
}

test("200 seeds hold every property, none is poor, every kind of fault occurs", async () => {
  const lines = await runFleet(0, SEEDS, WIDTH);
  const faults = new Map<string, number>(FAULT_KINDS.map((kind) => [kind, 0]));
  let simulated = 0;
  let real = 0;
  const problems: string[] = [];
  for (const line of lines) {
    hashes.set(line.seed, hashOf(line));
    if (isFailure(line)) {
      problems.push(`npm run sim -- --seed ${line.seed}: ${line.failure}`);
      continue;
    }
    if (line.poor.length > 0) problems.push(`seed ${line.seed} is poor: ${line.poor.join("; ")}`);
    simulated += line.simulatedSeconds;
    real += line.realSeconds;
    for (const kind of FAULT_KINDS) faults.set(kind, (faults.get(kind) ?? 0) + line.faults[kind]);
  }
  console.log(`${simulated.toFixed(0)} s simulated, ${(simulated / real).toFixed(0)} s/s a core`);
  console.log([...faults].map(([kind, count]) => `${kind}=${count}`).join(" "));
  assert.is(problems.join("\n"), "");
  if (SEEDS < SEEDS_GATE) return;
  assert.equal(
    [...faults].filter(([, count]) => count === 0).map(([kind]) => kind),
    [],
  );
});

test("50 seeds again, in other processes: the same hashes", async () => {
  for (const line of await runFleet(0, TWICE, WIDTH)) {
    assert.is(hashOf(line), hashes.get(line.seed), `seed ${line.seed}`);
  }
});

test("on the twins of the kernels: the same hashes", async () => {
  for (const line of await runFleet(0, ON_TWINS, WIDTH, { env: { KERNEL: "js" } })) {
    assert.is(hashOf(line), hashes.get(line.seed), `seed ${line.seed}`);
  }
});

test.run();
