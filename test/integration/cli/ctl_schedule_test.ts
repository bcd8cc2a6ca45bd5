/** `rutile ctl operator|store|scheduler|config` against a PD with stores. */
import { Command } from "commander";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { registerCtl } from "../../../src/cli/ctl.js";
import { type Ran, runCtl } from "../../support/ctl.js";
import { startTestPd, type TestPd } from "../../support/pd.js";
import { PdLeader, startStores } from "../../support/pd_leader.js";

function ctl(pd: TestPd, ...args: string[]): Promise<Ran> {
  return runCtl("--pd", pd.pd.address, ...args);
}

const PEERS = [1, 2, 3].map((storeId) => ({ id: 100 + storeId, storeId }));

async function withStores(body: (pd: TestPd, leader: PdLeader) => Promise<void>): Promise<void> {
  const pd = await startTestPd();
  const leader = new PdLeader(pd);
  try {
    await startStores(pd, 4);
    await leader.report({ id: 2, confVer: 5, version: 1, peers: PEERS, leader: 1 });
    await ctl(pd, "scheduler", "pause", "all", "600");
    await body(pd, leader);
  } finally {
    leader.end();
    await pd.stop();
  }
}

test("operator: add, list, show, cancel, history with the reason", () =>
  withStores(async (pd) => {
    assert.is((await ctl(pd, "operator", "list")).out, "(none)");
    const added = await ctl(pd, "operator", "add", "transfer-peer", "2", "3", "4");
    assert.equal([added.code, added.error], [0, ""]);
    assert.match(added.out, /true +The operator is created\./);
    const list = await ctl(pd, "operator", "list");
    assert.match(list.out, /2 +admin-transfer-peer +admin,region +started +1\/4 +add learner/);
    const shown = await ctl(pd, "operator", "show", "2");
    assert.match(shown.out, /^1 +add learner peer \d+ on store 4 +started$/m);
    assert.match(shown.out, /^4 +remove peer on store 3/m);
    assert.is((await ctl(pd, "operator", "cancel", "2")).code, 0);
    const history = await ctl(pd, "operator", "history");
    assert.match(history.out, /cancelled .*cancelled by request/);
    assert.is((await ctl(pd, "operator", "cancel", "2")).error, "error: PD: operator not found");
    assert.match((await ctl(pd, "operator", "add", "no", "2")).error, /no operator no/);
    assert.match(
      (await ctl(pd, "operator", "add", "add-peer", "2", "x")).error,
      /not a store id: x/,
    );
    assert.is((await ctl(pd, "operator", "why")).out, "(none)");
  }));

test("operator add: each kind reaches the leader", () =>
  withStores(async (pd, leader) => {
    const add = async (...args: string[]): Promise<void> => {
      const ran = await ctl(pd, "operator", "add", ...args);
      assert.is(ran.error, "", args.join(" "));
    };
    await add("transfer-leader", "2", "3");
    await leader.order("transfer", ({ transferLeader }) => transferLeader !== undefined);
    await ctl(pd, "operator", "cancel", "2");
    await add("split-region", "2", "k", "0x6d");
    const split = await leader.order("split", ({ splitRegion }) => splitRegion !== undefined);
    assert.is(split.splitRegion?.keys.length, 2);
    await ctl(pd, "operator", "cancel", "2");
    await add("transfer-region", "2", "2", "3", "4");
    await leader.order("learner", ({ changePeers }) => changePeers?.[0]?.type === 2);
  }));

test("store: show, label, limit, delete, up; what PD refuses is one line and exit code 1", () =>
  withStores(async (pd) => {
    assert.match((await ctl(pd, "store", "1")).out, /^leader_count +1$/m);
    assert.match((await ctl(pd, "store")).out, /^1 +127.0.0.1:20001 +Up +1 +1/m);
    assert.is((await ctl(pd, "store")).out.split("\n").length, 5);
    assert.is((await ctl(pd, "store", "label", "1", "rack=r1")).code, 0);
    assert.match((await ctl(pd, "stores")).out, /rack=r1/);
    assert.is((await ctl(pd, "store", "limit", "1", "30")).code, 0);
    assert.match((await ctl(pd, "store", "delete", "3")).out, /The store is set as Offline\./);
    const refused = await ctl(pd, "store", "delete", "2");
    assert.is(refused.code, 1);
    assert.match(refused.error, /^error: PD: can not remove store 2 .*3 up, 3 replicas$/);
    assert.is((await ctl(pd, "store", "up", "3")).code, 0);
    assert.match((await ctl(pd, "store", "label", "1", "rack")).error, /not key=value: rack/);
  }));

test("regions that lack something", () =>
  withStores(async (pd, leader) => {
    assert.is((await ctl(pd, "regions", "--check", "miss-peer")).out, "(none)");
    const peers = PEERS.slice(0, 2);
    await leader.report({
      id: 2,
      confVer: 6,
      version: 1,
      peers,
      leader: 1,
      pending: peers.slice(1),
    });
    assert.match((await ctl(pd, "regions", "--check", "miss-peer")).out, /^2 .*101@1,102@2$/m);
    assert.match((await ctl(pd, "regions", "--check", "no")).error, /no such check of regions: no/);
  }));

test("scheduler and config", () =>
  withStores(async (pd) => {
    assert.match((await ctl(pd, "scheduler", "list")).out, /^balance-leader-scheduler +paused$/m);
    await ctl(pd, "scheduler", "resume", "balance-leader-scheduler");
    assert.match((await ctl(pd, "scheduler", "list")).out, /^balance-leader-scheduler +runs$/m);
    assert.is((await ctl(pd, "config", "set", "schedule.leader-schedule-limit=9")).code, 0);
    const shown = (await ctl(pd, "config", "show")).out;
    assert.match(shown, /^schedule.leader-schedule-limit +9$/m);
    assert.match((await ctl(pd, "config", "set", "no=1")).error, /config item no not found/);
  }));

test("help names the commands", async () => {
  const program = new Command().exitOverride();
  registerCtl(program);
  const [command] = program.commands;
  const help = command?.helpInformation() ?? "";
  for (const name of [
    "mvcc",
    "locks",
    "resolve-locks",
    "txn",
    "gc",
    "operator",
    "store",
    "scheduler",
    "config",
    "region",
  ]) {
    assert.match(help, new RegExp(`^  ${name}`, "m"));
  }
  const operator = command?.commands.find((one) => one.name() === "operator");
  assert.match(operator?.helpInformation() ?? "", /transfer-leader, add-peer/);
});

test.run();
