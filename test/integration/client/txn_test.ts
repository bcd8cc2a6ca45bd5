/**
 * TxnClient against one real store: reads, writes, conflicts, scans over regions, modes of commit.
 *
 * @timeout 120
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type BeginOptions,
  KeyExistsError,
  type TxnClient,
  TxnTooLargeError,
  WriteConflictError,
} from "../../../src/client/index.js";
import {
  failure,
  pairs,
  splitAt,
  startTxnCluster,
  type TxnCluster,
  text,
  Wire,
  withClients,
} from "../../support/txn_cluster.js";

const test = suite("txn");

let started: Awaited<ReturnType<typeof startTxnCluster>>;
test.before(async () => {
  started = await startTxnCluster();
});
test.after(() => started.stop());

const run = (body: (parts: TxnCluster) => Promise<void>): Promise<void> =>
  withClients(started.cluster, body);

/** Prefixes of keys keep the tests apart. */
async function putAll(client: TxnClient, entries: Record<string, string>): Promise<void> {
  await client.transaction(async (txn) => {
    for (const [key, value] of Object.entries(entries)) await txn.put(key, value);
  });
}

const MODES: readonly (readonly [string, BeginOptions, string])[] = [
  ["1PC", { onePc: true, asyncCommit: true }, "Prewrite"],
  ["async commit", { onePc: false, asyncCommit: true }, "Prewrite"],
  ["two phases", { onePc: false, asyncCommit: false }, "Prewrite Commit"],
];

for (const pessimistic of [false, true]) {
  for (const [name, options, commands] of MODES) {
    const kind = pessimistic ? "pessimistic" : "optimistic";
    test(`${kind}, ${name}: a commit shows all writes at commit_ts, and none before`, () =>
      run(async ({ connect }) => {
        const wire = new Wire();
        const client = await connect({}, wire);
        const at = (key: string): string => `${kind}/${name}/${key}`;
        await putAll(client, { [at("b")]: "old", [at("c")]: "old" });
        const txn = await client.begin({ ...options, pessimistic });
        await txn.put(at("a"), "new");
        await txn.put(at("b"), "new");
        await txn.delete(at("c"));
        const sent = wire.log.length;
        const commitTs = (await txn.commit()) as bigint;
        assert.ok(commitTs > txn.startTs);
        assert.is(wire.log.slice(sent).slice(0, 2).join(" "), commands);
        assert.is(txn.state, "committed");
        const range = { start: at(""), end: at("~") };
        const before = await client.snapshot(commitTs - 1n);
        assert.equal(await pairs(before.scan(range)), [`${at("b")}=old`, `${at("c")}=old`]);
        const after = await client.snapshot(commitTs);
        assert.equal(await pairs(after.scan(range)), [`${at("a")}=new`, `${at("b")}=new`]);
      }));
  }
}

test("a transaction reads its own writes before its snapshot", () =>
  run(async ({ connect }) => {
    const client = await connect();
    await putAll(client, { "own/a": "1", "own/b": "2", "own/d": "4" });
    const txn = await client.begin();
    await txn.put("own/c", "3");
    await txn.delete("own/b");
    await txn.put("own/d", "four");
    assert.is(text(await txn.get("own/c")), "3");
    assert.is(await txn.get("own/b"), undefined);
    const values = await txn.batchGet(["own/d", "own/b", "own/a", "own/x"]);
    assert.equal(values.map(text), ["four", undefined, "1", undefined]);
    const range = { start: "own/", end: "own/~" };
    assert.equal(await pairs(txn.scan(range)), ["own/a=1", "own/c=3", "own/d=four"]);
    assert.equal(await pairs(txn.reverseScan(range)), ["own/d=four", "own/c=3", "own/a=1"]);
    assert.equal(await pairs(txn.scan({ ...range, limit: 2 })), ["own/a=1", "own/c=3"]);
    assert.equal(await pairs(txn.scan({ ...range, keyOnly: true })), [
      "own/a=",
      "own/c=",
      "own/d=",
    ]);
    await txn.rollback();
    assert.equal(await pairs((await client.snapshot()).scan(range)), [
      "own/a=1",
      "own/b=2",
      "own/d=4",
    ]);
  }));

test("scans and batch reads cross regions in both directions", () =>
  run(async ({ connect, cluster }) => {
    const client = await connect();
    const keys = Array.from({ length: 300 }, (_, i) => `many/${String(i).padStart(3, "0")}`);
    await putAll(client, Object.fromEntries(keys.map((key) => [key, `v${key}`])));
    for (const key of ["many/050", "many/051", "many/200"]) await splitAt(cluster, key);
    const range = { start: "many/", end: "many/~" };
    const expected = keys.map((key) => `${key}=v${key}`);
    const snapshot = await client.snapshot();
    for (const pageSize of [7, 50, 256]) {
      assert.equal(await pairs(snapshot.scan({ ...range, pageSize })), expected);
      assert.equal(
        await pairs(snapshot.reverseScan({ ...range, pageSize })),
        [...expected].reverse(),
      );
    }
    const part = { start: "many/049", end: "many/202", limit: 4 };
    assert.equal(await pairs(snapshot.scan(part)), expected.slice(49, 53));
    assert.equal(await pairs(snapshot.reverseScan(part)), expected.slice(198, 202).reverse());
    const values = await snapshot.batchGet([...keys].reverse());
    assert.equal(
      values.map(text),
      [...keys].reverse().map((key) => `v${key}`),
    );
    assert.equal((await pairs(snapshot.reverseScan({ limit: 1 }))).length, 1);
  }));

test("a large transaction over regions goes in requests of 16 KiB", () =>
  run(async ({ connect, cluster }) => {
    for (const key of ["large/3", "large/6"]) await splitAt(cluster, key);
    const wire = new Wire();
    const client = await connect({}, wire);
    const value = "x".repeat(1000);
    const keys = Array.from(
      { length: 100 },
      (_, i) => `large/${String(i * 97 + 10).padStart(4, "0")}`,
    );
    await client.transaction(async (txn) => {
      for (const key of keys) await txn.put(key, value);
    });
    assert.ok(wire.sent("Prewrite") >= 7, `${wire.sent("Prewrite")} prewrites`);
    for (const { mutations } of wire.of("Prewrite")) assert.ok((mutations?.length ?? 0) <= 16);
    const found = await pairs((await client.snapshot()).scan({ start: "large/", end: "large/~" }));
    assert.is(found.length, keys.length);
  }));

test("of two optimistic transactions that write a key the later commit fails", () =>
  run(async ({ connect }) => {
    const client = await connect();
    const [one, two] = [await client.begin(), await client.begin()];
    await one.put("conflict", "1");
    await two.put("conflict", "2");
    await one.commit();
    const error = await failure(two.commit());
    assert.instance(error, WriteConflictError);
    const { conflictTs, key } = error as WriteConflictError;
    assert.equal([text(key), conflictTs], ["conflict", one.startTs]);
    assert.is(two.state, "rolledBack");
    assert.is((await failure(two.get("x"))).code, "RUTILE:Client:TxnFinished");
    assert.is(text(await (await client.snapshot()).get("conflict")), "1");
  }));

test("transaction() runs again after a conflict, and no more often than it may", () =>
  run(async ({ connect }) => {
    const client = await connect();
    let runs = 0;
    const disturbed = async (retry: number): Promise<void> => {
      runs = 0;
      await client.transaction(
        async (txn) => {
          runs++;
          const value = Number(text(await txn.get("counter")) ?? "0");
          if (runs < 3) await putAll(client, { counter: `${value + 10}` });
          await txn.put("counter", `${value + 1}`);
        },
        { retry },
      );
    };
    await disturbed(5);
    assert.is(runs, 3);
    assert.is(text(await (await client.snapshot()).get("counter")), "21");
    assert.instance(await failure(disturbed(1)), WriteConflictError);
    assert.is(runs, 2);
    const thrown = await failure(
      client.transaction(async (txn) => {
        await txn.put("thrown", "1");
        throw new Error("mine");
      }),
    );
    assert.is(thrown.message, "mine");
    assert.is(await (await client.snapshot()).get("thrown"), undefined);
  }));

test("locked keys of an optimistic transaction may not change", () =>
  run(async ({ connect }) => {
    const client = await connect();
    await putAll(client, { "skew/a": "1", "skew/b": "1" });
    const txn = await client.begin();
    assert.is(text(await txn.getForUpdate("skew/a")), "1");
    await txn.put("skew/b", "0");
    await putAll(client, { "skew/a": "0" });
    assert.instance(await failure(txn.commit()), WriteConflictError);
    const reader = await client.begin();
    await reader.lockKeys(["skew/a"]);
    assert.is(await reader.commit(), undefined, "nothing to write");
  }));

for (const pessimistic of [false, true]) {
  test(`inserts fail on keys with values (${pessimistic ? "at once" : "at commit"})`, () =>
    run(async ({ connect }) => {
      const client = await connect();
      const at = (key: string): string => `insert/${pessimistic}/${key}`;
      await putAll(client, { [at("there")]: "1" });
      const txn = await client.begin({ pessimistic });
      await txn.insert(at("new"), "1");
      const inserted = txn.insert(at("there"), "2");
      const error = await failure(pessimistic ? inserted : inserted.then(() => txn.commit()));
      assert.instance(error, KeyExistsError);
      assert.is(text((error as KeyExistsError).key), at("there"));
      if (pessimistic) await txn.commit();
      const snapshot = await client.snapshot();
      assert.is(text(await snapshot.get(at("there"))), "1");
      assert.is(text(await snapshot.get(at("new"))), pessimistic ? "1" : undefined);
      const twice = await client.begin({ pessimistic });
      await twice.put(at("twice"), "1");
      assert.instance(await failure(twice.insert(at("twice"), "2")), KeyExistsError);
      await twice.delete(at("there"));
      await twice.insert(at("there"), "3");
      await twice.commit();
      assert.is(text(await (await client.snapshot()).get(at("there"))), "3");
    }));

  test(`an insert that is deleted again (${pessimistic ? "pessimistic" : "optimistic"})`, () =>
    run(async ({ connect }) => {
      const client = await connect();
      const at = (key: string): string => `undone/${pessimistic}/${key}`;
      const txn = await client.begin({ pessimistic });
      await txn.insert(at("k"), "1");
      await txn.delete(at("k"));
      await txn.put(at("other"), "1");
      await txn.commit();
      assert.is(await (await client.snapshot()).get(at("k")), undefined);
      assert.is(text(await (await client.snapshot()).get(at("other"))), "1");
    }));
}

test("readCommitted reads what others have committed meanwhile, snapshot does not", () =>
  run(async ({ connect }) => {
    const client = await connect();
    await putAll(client, { isolation: "old" });
    const snapshot = await client.begin();
    const newest = await client.begin({ isolation: "readCommitted" });
    assert.is(text(await snapshot.get("isolation")), "old");
    assert.is(text(await newest.get("isolation")), "old");
    await putAll(client, { isolation: "new" });
    assert.is(text(await snapshot.get("isolation")), "old");
    assert.is(text(await newest.get("isolation")), "new");
    await Promise.all([snapshot.rollback(), newest.rollback()]);
  }));

test("limits and arguments", () =>
  run(async ({ connect }) => {
    const client = await connect({ entryBytesMax: 100, txnBytesMax: 250 });
    const txn = await client.begin();
    assert.instance(await failure(txn.put("k", "x".repeat(100))), TxnTooLargeError);
    await txn.put("a", "x".repeat(99));
    await txn.put("b", "x".repeat(99));
    assert.instance(await failure(txn.put("c", "x".repeat(99))), TxnTooLargeError);
    assert.is((await failure(txn.get(""))).code, "RUTILE:Client:InvalidArgument");
    assert.is(
      (await failure(pairs(txn.scan({ pageSize: 0 })))).code,
      "RUTILE:Client:InvalidArgument",
    );
    await txn.rollback();
    await txn.rollback();
    assert.is((await failure(txn.commit())).code, "RUTILE:Client:TxnFinished");
  }));

test("calls of their own do what BatchCommands do", () =>
  run(async ({ connect }) => {
    const client = await connect({ batchCommands: false, managedTtlMs: 200 });
    await putAll(client, { "unary/a": "1", "unary/b": "2" });
    const txn = await client.begin({ ...MODES[2]?.[1], pessimistic: true });
    assert.equal((await txn.batchGet(["unary/b", "unary/a"])).map(text), ["2", "1"]);
    assert.is(text(await txn.getForUpdate("unary/a")), "1");
    await txn.delete("unary/a");
    const early = await client.snapshot();
    const reader = await client.snapshot();
    assert.is(text(await early.get("unary/a")), "1");
    assert.equal(await pairs(txn.scan({ start: "unary/", end: "unary/~" })), ["unary/b=2"]);
    await txn.commit();
    assert.is(text(await reader.get("unary/a")), "1");
    assert.is(await (await client.snapshot()).get("unary/a"), undefined);
  }));

test("a closed client begins nothing, and closes twice", () =>
  run(async ({ connect }) => {
    const client = await connect();
    await client.close();
    await client.close();
    assert.is((await failure(client.begin())).code, "RUTILE:Client:Closed");
  }));

test.run();
