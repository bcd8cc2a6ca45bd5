/**
 * The long run of txn_test.ts, with jumps of the wall clock where libfaketime is installed:
 *
 *   node build/js/test/integration/cluster/txn_soak.js [--seconds N] [--engine NAME]
 */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { oneRound } from "../../support/txn_faults.js";
import { underTransactions, WallClock } from "../../support/txn_load.js";

const LIBRARIES = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];
/** Seconds by which the wall clock of all processes is off, one after the other. */
const JUMPS = [60, -300, 0.5, -0.2, 3600, 0];

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    engine: { type: "string", default: "auto" },
  },
});

const library = LIBRARIES.find(existsSync);
const wall = library === undefined ? undefined : new WallClock(library);
const limitMs = Number(values.seconds) * 1000;
let rounds = 0;
const report = await underTransactions(values.engine, async (cluster, shared) => {
  const startedMs = performance.now();
  while (performance.now() - startedMs < limitMs) {
    wall?.jump(JUMPS[rounds % JUMPS.length] as number);
    await oneRound(cluster, shared);
    rounds++;
  }
});
wall?.restore();
const clock =
  wall === undefined ? "without jumps of the wall clock" : `${rounds} jumps of the wall clock`;
const { committed, open, seconds } = report;
console.log(
  `${values.engine}: ${seconds.toFixed(0)} s, ${rounds} rounds (kill, transfer, pause, split, cut), ${clock}: ` +
    `${committed} transactions committed, ${open} undetermined; snapshot isolation holds`,
);
