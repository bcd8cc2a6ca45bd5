/**
 * `rutile ctl` store, operator and raft against PD and stores that run.
 * @timeout 300
 * @seconds 20
 * @waits
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cluster } from "../../../src/testing/index.js";
import { runRutile } from "../../support/rutile.js";

const test = suite("ctl of a cluster");

type Rows = Readonly<Record<string, unknown>>[];

interface Ctl {
  /** Returns the rows of a command that succeeds. */
  rows(...args: string[]): Promise<Rows>;
  /** Returns the error line of one that fails. */
  error(...args: string[]): Promise<string>;
}

async function withCtl(stores: number, work: (ctl: Ctl, cluster: Cluster) => Promise<void>) {
  const config = { "replication.max-replicas": 1 };
  const cluster = new Cluster({ mode: "inProcess", stores, config });
  try {
    await cluster.start();
    await cluster.ready();
    const run = (args: readonly string[]): ReturnType<typeof runRutile> =>
      runRutile(["ctl", "--pd-endpoints", cluster.pdEndpoints.join(","), "--json", ...args]);
    const ctl: Ctl = {
      rows: async (...args) => {
        const ran = await run(args);
        assert.is(ran.stderr, "", args.join(" "));
        return JSON.parse(ran.stdout) as Rows;
      },
      error: async (...args) => {
        const ran = await run(args);
        assert.is(ran.code, 1, args.join(" "));
        return (JSON.parse(ran.stderr) as { error: { message: string } }).error.message;
      },
    };
    await work(ctl, cluster);
  } finally {
    await cluster.stop();
  }
}

test("raft shows the log of a Region on its stores", async () => {
  await withCtl(1, async (ctl, cluster) => {
    const [region] = await cluster.regions();
    const [row, ...more] = await ctl.rows("raft", String(region?.id));
    assert.equal(more, []);
    assert.is(row?.store, Number(cluster.stores[0]?.id));
    assert.is(row?.leader, true);
    assert.is(row?.state, "Normal");
    assert.ok(Number(row?.applied) >= 5 && Number(row?.last) >= Number(row?.applied));
    assert.match(await ctl.error("raft", "999"), /^PD knows no such region$/);
    assert.match(await ctl.error("raft", "x"), /^not a region id: x$/);
  });
});

test("store shows one, and is deleted and taken back", async () => {
  await withCtl(2, async (ctl, cluster) => {
    const id = String(cluster.stores[1]?.id);
    const field = async (name: string): Promise<unknown> =>
      (await ctl.rows("store", id)).find((row) => row.name === name)?.value;
    assert.is(await field("address"), cluster.stores[1]?.address);
    assert.is(await field("state_name"), "Up");
    await ctl.rows("store", "delete", id);
    assert.is.not(await field("state_name"), "Up");
    assert.match(await ctl.error("store", "999"), /999/);
    assert.match(await ctl.error("store", "x"), /^not a store id: x$/);
  });
});

test("operators are listed, explained, refused with PD's words", async () => {
  await withCtl(1, async (ctl, cluster) => {
    assert.equal(await ctl.rows("operator"), []);
    assert.equal(await ctl.rows("operator", "why"), []);
    assert.ok(Array.isArray(await ctl.rows("operator", "history")));
    const [region] = await cluster.regions();
    const id = String(region?.id);
    assert.match(await ctl.error("operator", "cancel", id), /operator not found/);
    assert.match(await ctl.error("operator", "add", "transfer-leader", id, "999"), /999/);
    assert.match(await ctl.error("operator", "add", "move", id), /^no operator move$/);
    const few = await ctl.error("operator", "add", "transfer-peer", id, "1");
    assert.is(few, "transfer-peer takes 2 stores, not 1");
  });
});

test.run();
