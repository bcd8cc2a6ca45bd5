/**
 * Bank, lists, counters and a register on three stores, while the leader is killed, paused and cut
 * off and regions split and change leaders: a short run of test/integration/cluster/txn_soak.ts.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 400
 * @exclusive
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { librocksdbLoads } from "../../support/librocksdb.js";
import { requires } from "../../support/requires.js";
import { oneRound } from "../../support/txn_faults.js";
import { underTransactions } from "../../support/txn_load.js";

const ENGINE = process.env.RUTILE_ENGINE ?? "rocksdb";
const COMMITTED_MIN = 100;

const present = ENGINE !== "librocksdb" || requires("librocksdb", librocksdbLoads);
(present ? test : test.skip)("transactions survive a round of faults", async () => {
  const report = await underTransactions(ENGINE, oneRound);
  const { committed, open, seconds } = report;
  console.log(`${committed} transactions in ${seconds.toFixed(0)} s, ${open} undetermined`);
  assert.ok(committed >= COMMITTED_MIN, `${committed} transactions`);
});

test.run();
