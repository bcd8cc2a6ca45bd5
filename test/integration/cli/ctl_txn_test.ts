/**
 * `rutile ctl` for transactions against a node: versions of a key, locks and their end, the line of
 * each store's /txn.
 * @timeout 120
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { TxnClient } from "../../../src/client/index.js";
import { runCtl } from "../../support/ctl.js";
import { startRutile } from "../../support/rutile_process.js";
import { TxnStage } from "../../support/txn_stage.js";
import { within } from "../../support/within.js";

const LIMIT_MS = 20_000;
const CONFIG = `
log.level = "warn"
gc.enable = false
resolved-ts.advance-ts-interval = "50ms"
pessimistic-txn.in-memory = true
`;

/** The part of /txn that is looked at. */
interface Page {
  readonly lock_waits: readonly {
    readonly txn: string;
    readonly wait_for_txn: string;
    readonly key: string;
  }[];
  readonly deadlocks: { readonly role: string; readonly edges: number };
  readonly pessimistic_locks_in_memory: { readonly count: number };
  readonly latches: object;
  readonly commands: { readonly running: number };
  readonly max_ts: string;
  readonly max_ts_limit: string;
}

let stage: TxnStage;
const ctl = (...args: string[]) => runCtl("--pd", stage.node.ready.pd, ...args);

test.before(async () => {
  stage = await TxnStage.start(CONFIG);
});
test.after(() => stage.stop());

test("mvcc shows the lock and all versions of a key, newest first", async () => {
  const first = await stage.write("m");
  const second = await stage.write("m");
  const startTs = await stage.ts();
  assert.equal((await stage.prewrite(startTs, ["m"])).errors, []);
  const shown = await ctl("mvcc", "m");
  assert.equal([shown.code, shown.error], [0, ""]);
  const [head, lock, newest, oldest, ...more] = shown.out.split("\n");
  assert.match(head ?? "", /^what +start_ts +commit_ts +kind +value +note$/);
  assert.match(lock ?? "", new RegExp(`^lock +${startTs} +- +Put +v +primary m, ttl 3000 ms$`));
  assert.match(newest ?? "", new RegExp(`^version +\\d+ +${second} +Put +v +20`));
  assert.match(oldest ?? "", new RegExp(`^version +\\d+ +${first} +Put +v +20`));
  assert.equal(more, []);
  assert.is((await stage.commit(startTs, await stage.ts(), ["m"])).error, null);
  const long = JSON.parse((await ctl("--json", "mvcc", "m")).out);
  assert.equal(
    long.map(({ what, kind }: Record<string, string>) => `${what} ${kind}`),
    ["version Put", "version Put", "version Put"],
  );
});

test("mvcc of a key that is not there is exit code 1 and one line", async () => {
  const missing = await ctl("mvcc", "nothing");
  assert.equal([missing.code, missing.error, missing.out], [1, "nothing is stored of it", ""]);
});

test("locks are listed, within a range and up to a timestamp, with what is left of their time", async () => {
  const startTs = await stage.ts();
  assert.equal((await stage.prewrite(startTs, ["l1", "l2"])).errors, []);
  const later = await stage.ts();
  assert.equal((await stage.lock(later, "l3", -1)).errors, []);
  const all = JSON.parse((await ctl("--json", "locks", "l", "m")).out);
  assert.equal(
    all.map(({ key, kind, primary }: Record<string, string>) => [key, kind, primary]),
    [
      ["l1", "prewrite", "l1"],
      ["l2", "prewrite", "l1"],
      ["l3", "pessimistic", "l3"],
    ],
  );
  assert.is(all[0].ttl_ms, 3000);
  assert.ok(all[0].left_ms <= 3000);
  const some = await ctl("locks", "l2", "--before", `${startTs}`);
  assert.match(some.out, /^l2 +l1 +\d+ /m);
  assert.ok(!some.out.includes("l1  l1") && !some.out.includes("l3"), some.out);
  assert.match((await ctl("locks", "--limit", "1")).out, /^key .*\nl1 .*$/);
  assert.match((await ctl("locks", "x", "y")).out, /^\(none\)$/);
  await stage.unlock(later, "l3");
  const undo = await stage.ts();
  assert.ok((await stage.commit(startTs, undo, ["l1", "l2"])).error === null);
});

test("resolve-locks ends dead transactions and keeps living ones", async () => {
  const dead = await stage.ts();
  const expired = { lockTtl: 1 };
  assert.equal((await stage.prewrite(dead, ["d1", "d2"], expired)).errors, []);
  const alive = await stage.ts();
  assert.equal((await stage.prewrite(alive, ["d3"], { lockTtl: 100_000 })).errors, []);
  const row = await within(LIMIT_MS, "the lock expires", async () => {
    const [one] = JSON.parse((await ctl("--json", "resolve-locks")).out);
    return one.resolved_locks > 0 && one;
  });
  assert.equal([row.regions, row.resolved_locks, row.oldest_alive], [1, 2, `${alive}`]);
  const left = JSON.parse((await ctl("--json", "locks")).out);
  assert.equal(
    left.map(({ key }: Record<string, string>) => key),
    ["d3"],
  );
  assert.match((await ctl("mvcc", "d1")).out, /^version +\d+ +\d+ +Rollback +- /m);
  assert.is((await stage.commit(alive, await stage.ts(), ["d3"])).error, null);
});

test("/txn and `ctl txn` show who waits for whom, and how far reads and GC are", async () => {
  const [holder, waiter] = [await stage.ts(), await stage.ts()];
  assert.equal((await stage.lock(holder, "w", -1)).errors, []);
  const waiting = stage.lock(waiter, "w", 10_000);
  const url = `http://${stage.node.ready.status}/txn`;
  const page = await within(LIMIT_MS, "a waiter", async () => {
    const one = (await (await fetch(url)).json()) as Page;
    return one.lock_waits.length === 1 && one;
  });
  assert.is(page.lock_waits[0]?.txn, `${waiter}`);
  assert.is(page.lock_waits[0]?.wait_for_txn, `${holder}`);
  assert.is(page.lock_waits[0]?.key, Buffer.from(utf8("w")).toString("hex").toUpperCase());
  assert.is(page.deadlocks.role, "leader");
  assert.is(page.deadlocks.edges, 1);
  assert.is(page.pessimistic_locks_in_memory.count, 1);
  assert.equal(page.latches, { held: 0, waiting: 0 });
  assert.is(page.commands.running, 0);
  assert.ok(BigInt(page.max_ts) > 0n && BigInt(page.max_ts_limit) > BigInt(page.max_ts));
  const line = await within(LIMIT_MS, "a resolved timestamp", async () => {
    const [one] = JSON.parse((await ctl("--json", "txn")).out);
    return one.resolved_ts !== undefined && one;
  });
  assert.equal([line.store, line.lock_waits, line.detector], [1, 1, "leader"]);
  assert.is(line.gc_safe_point, "0");
  await stage.unlock(holder, "w");
  await waiting;
  await stage.unlock(waiter, "w");
});

test("API V2: keys are those of the keyspace, locks of all of it are resolved", async () => {
  const config = "storage.api-version = 2\nstorage.enable-ttl = true\ngc.enable = false\n";
  const node = await startRutile({ config: `${config}log.level = "warn"\n` });
  const v2 = (...args: string[]) => runCtl("--pd", node.ready.pd, "--api-version", "V2", ...args);
  const client = await TxnClient.connect({ pdEndpoints: [node.ready.pd], apiVersion: "V2" });
  try {
    await client.transaction((txn) => txn.put("k", "v"));
    const txn = await client.begin({ pessimistic: true });
    await txn.lockKeys(["k"]);
    assert.match((await v2("mvcc", "k")).out, /^version +\d+ +\d+ +Put +v +20\S+$/m);
    const [one, ...more] = JSON.parse((await v2("--json", "locks")).out);
    assert.equal([one.key, one.primary, one.kind, more], ["k", "k", "pessimistic", []]);
    const [row] = JSON.parse((await v2("--json", "resolve-locks")).out);
    assert.equal([row.resolved_locks, row.oldest_alive], [0, `${txn.startTs}`]);
    await txn.rollback();
    assert.is((await v2("locks")).out, "(none)");
    const otherKey = await runCtl("--pd", node.ready.pd, "mvcc", "k");
    assert.equal([otherKey.code, otherKey.out], [1, ""]);
    assert.match(otherKey.error, /^[^\n]+$/);
  } finally {
    await client.close();
    assert.is(await node.stop(), 0);
  }
});

test("wrong arguments are one line each", async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["locks", "--before", "soon"], /^error: not a timestamp: soon$/],
    [["locks", "--limit", "0"], /^error: --limit must be a number from 1 on$/],
    [["resolve-locks", "--before", "-1"], /^error: not a timestamp: -1$/],
    [["--api-version", "V3", "mvcc", "k"], /^error: --api-version must be V1, V1TTL, V2, not V3$/],
  ];
  for (const [args, expected] of cases) {
    const ran = await ctl(...args);
    assert.is(ran.code, 1, args.join(" "));
    assert.match(ran.error, expected);
  }
});

test.run();
