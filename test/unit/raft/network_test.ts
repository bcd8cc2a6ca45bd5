/**
 * Random groups from fixed seeds, with checkers; the same seed gives the same bytes. Which kinds of
 * event took place is asserted over all seeds, so that a run cannot pass by doing nothing.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { errorMessage } from "../../../src/base/index.js";
import { RaftNetwork } from "../../support/raft_network.js";

const SEEDS = 200;

test("200 seeds: safety under faults, then the group serves again", () => {
  const totals = { leaders: 0, committed: 0, reads: 0, snapshots: 0, changes: 0, crashes: 0 };
  const only = process.env.SEED;
  const seeds = only === undefined ? [...Array(SEEDS).keys()] : [Number(only)];
  for (const seed of seeds) {
    const network = new RaftNetwork(BigInt(seed), {
      peers: 3 + (seed % 3),
      rounds: 150,
      raft: {
        preVote: seed % 2 === 0,
        checkQuorum: seed % 8 !== 7,
        readOnly: seed % 4 === 0 ? "lease" : "safe",
        inflightBytesMax: seed % 3 === 0 ? 200 : 0,
        commitTellsApplied: seed % 5 < 2,
      },
    });
    try {
      const report = network.run();
      for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += report[key];
    } catch (error) {
      throw new Error(`SEED=${seed}: ${errorMessage(error)}\n${network.describe()}`, {
        cause: error,
      });
    }
  }
  if (only !== undefined) return;
  assert.ok(totals.leaders > SEEDS, `leaders: ${totals.leaders}`);
  assert.ok(totals.committed > 20 * SEEDS, `committed: ${totals.committed}`);
  assert.ok(totals.reads > SEEDS, `reads: ${totals.reads}`);
  assert.ok(totals.snapshots > SEEDS, `snapshots: ${totals.snapshots}`);
  assert.ok(totals.changes > SEEDS, `changes: ${totals.changes}`);
  assert.ok(totals.crashes > SEEDS, `crashes: ${totals.crashes}`);
  console.log(JSON.stringify(totals));
});

test("the same seed gives the same messages, byte for byte", () => {
  const hashes = new Set<string>();
  for (const peers of [3, 4, 5]) {
    const run = (): string =>
      new RaftNetwork(BigInt(1000 + peers), { peers, rounds: 150, hash: true }).run().hash;
    const first = run();
    assert.is(run(), first);
    hashes.add(first);
  }
  assert.is(hashes.size, 3, "different seeds differ");
});

test.run();
