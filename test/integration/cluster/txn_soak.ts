/**
 * The long run of txn_test.ts, with jumps of the wall clock where libfaketime is installed:
 *
 *   node build/js/test/integration/cluster/txn_soak.js [--seconds N] [--engine NAME] [--seed N]
 *
 * The seed chooses transactions and where faults meet; what happens in which order is up to the
 * machine.
 */
import { parseArgs } from "node:util";
import { underTransactions } from "../../support/txn_load.js";
import { FAKETIME, WallClock } from "../../support/wall_clock.js";

/**
 * Seconds by which the wall clock of all processes is off, one round after the other. Each round begins
 * ahead of the one before: a clock that is behind the timestamps of PD stops them, see TxnFaults.
 */
const JUMPS = [
  [60, -300],
  [120, 0.5],
  [3600, -0.2],
] as const;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    engine: { type: "string", default: "auto" },
    seed: { type: "string", default: String(Date.now()) },
  },
});

const { engine } = values;
const wall = FAKETIME === undefined ? undefined : new WallClock(FAKETIME);
const limitMs = Number(values.seconds) * 1000;
let rounds = 0;
const report = await underTransactions(
  { engine, seed: BigInt(values.seed), wall },
  async (faults) => {
    const startedMs = performance.now();
    while (performance.now() - startedMs < limitMs) {
      await faults.round(JUMPS[Math.min(rounds, JUMPS.length - 1)] as (typeof JUMPS)[number]);
      rounds++;
    }
  },
);
wall?.restore();
const { committed, faults, open, seconds } = report;
const kinds = [...faults.counts].map(([kind, count]) => `${kind} ${count}`).join(", ");
console.log(
  `${engine}, seed ${values.seed}: ${seconds.toFixed(0)} s, ${rounds} rounds (${kinds}): ` +
    `${committed} transactions committed, ${open} undetermined; snapshot isolation holds`,
);
console.log(`seconds of each step: ${faults.steps.join(", ")}`);
console.log(`wall clock: ${wall === undefined ? "left alone" : faults.jumps.join(", ")}`);
