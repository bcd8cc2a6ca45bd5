/** etcd's KV service on PD's port: with a plain gRPC client, and with Debian's etcdctl. */
import { type ServiceError, status } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { etcdserverpb, type mvccpb, toBigInt } from "../../../src/pb/index.js";
import { type PdTestClient, startTestPd, type TestPd } from "../../support/pd.js";
import { spawnPd } from "../../support/pd_process.js";
import { hasProgram, requires } from "../../support/requires.js";
import { runAsync } from "../../support/run_async.js";
import { tmpDir } from "../../support/tmp.js";

const KV = "etcdserverpb.KV";
const { SortOrder, SortTarget } = etcdserverpb.RangeRequest;
const { CompareResult, CompareTarget } = etcdserverpb.Compare;

async function withPd(run: (client: PdTestClient, pd: TestPd) => Promise<void>): Promise<void> {
  const pd = await startTestPd();
  try {
    await run(pd.client, pd);
  } finally {
    await pd.stop();
  }
}

function put(client: PdTestClient, key: string, value: string) {
  return client.callRaw(KV, "Put", { key: utf8(key), value: utf8(value) });
}

async function range(
  client: PdTestClient,
  key: string,
  end = "",
  more: Partial<etcdserverpb.IRangeRequest> = {},
) {
  return client.callRaw(KV, "Range", { key: utf8(key), rangeEnd: utf8(end), ...more });
}

const text = ({ key, value }: mvccpb.KeyValue): string => `${utf8Decode(key)}=${utf8Decode(value)}`;

async function statusOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "OK";
  } catch (error) {
    const { code, details } = error as ServiceError;
    return `${status[code]} ${details}`;
  }
}

test("revisions grow by one a change; keys know when they were made and changed", () =>
  withPd(async (client) => {
    const revisions: bigint[] = [];
    for (const [key, value] of [
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
    ] as const) {
      revisions.push(toBigInt((await put(client, key, value)).header?.revision ?? 0));
    }
    assert.equal(revisions, [2n, 3n, 4n]);
    const [pair] = (await range(client, "a")).kvs;
    assert.ok(pair);
    assert.equal([pair.createRevision, pair.modRevision, pair.version].map(toBigInt), [2n, 4n, 2n]);
    const none = await client.callRaw(KV, "DeleteRange", { key: utf8("x") });
    assert.equal(
      [none.deleted, none.header?.revision].map((n) => toBigInt(n ?? 0)),
      [0n, 4n],
    );
    const gone = await client.callRaw(KV, "DeleteRange", { key: utf8("a"), prevKv: true });
    assert.equal(gone.prevKvs.map(text), ["a=3"]);
    assert.is(toBigInt(gone.header?.revision ?? 0), 5n);
    await put(client, "a", "4");
    const [again] = (await range(client, "a")).kvs;
    assert.equal([toBigInt(again?.createRevision ?? 0), toBigInt(again?.version ?? 0)], [6n, 1n]);
  }));

test("ranges: one key, [from, to), a prefix, from a key on, all; limit, order, keys, count", () =>
  withPd(async (client) => {
    for (const [key, value] of ["a=5", "b/1=4", "b/2=3", "b/3=2", "c=1"].map((p) => p.split("=")))
      await put(client, key ?? "", value ?? "");
    const keys = async (key: string, end: string, more: Partial<etcdserverpb.IRangeRequest> = {}) =>
      (await range(client, key, end, more)).kvs.map((pair) => utf8Decode(pair.key)).join(" ");
    assert.is(await keys("b/2", ""), "b/2");
    assert.is(await keys("b/", ""), "");
    assert.is(await keys("b/", "b0"), "b/1 b/2 b/3");
    assert.is(await keys("b/2", "\0"), "b/2 b/3 c");
    assert.is(await keys("\0", "\0"), "a b/1 b/2 b/3 c");
    assert.is(await keys("c", "a"), "");
    const byValue = { sortTarget: SortTarget.VALUE };
    assert.is(await keys("b/", "b0", byValue), "b/3 b/2 b/1");
    assert.is(await keys("b/", "b0", { sortOrder: SortOrder.DESCEND }), "b/3 b/2 b/1");
    const newest = { sortTarget: SortTarget.CREATE, sortOrder: SortOrder.DESCEND, limit: 1 };
    assert.is(await keys("\0", "\0", newest), "c");
    assert.is(await keys("\0", "\0", { minModRevision: 3, maxModRevision: 4 }), "b/1 b/2");
    assert.is(await keys("\0", "\0", { minCreateRevision: 6, maxCreateRevision: 9 }), "c");
    const first = await range(client, "b/", "b0", { limit: 2, keysOnly: true });
    assert.equal(first.kvs.map(text), ["b/1=", "b/2="]);
    assert.equal([first.more, toBigInt(first.count)], [true, 3n]);
    const count = await range(client, "b/", "b0", { countOnly: true });
    assert.equal([count.kvs, toBigInt(count.count)], [[], 3n]);
  }));

test("refusals have etcd's statuses and texts", () =>
  withPd(async (client) => {
    await put(client, "k", "1");
    await put(client, "k", "2");
    const cases: [() => Promise<unknown>, string][] = [
      [() => range(client, ""), "INVALID_ARGUMENT etcdserver: key is not provided"],
      [() => put(client, "", "v"), "INVALID_ARGUMENT etcdserver: key is not provided"],
      [
        () => client.callRaw(KV, "DeleteRange", {}),
        "INVALID_ARGUMENT etcdserver: key is not provided",
      ],
      [
        () => put(client, "big", "x".repeat(1.5 * 1024 * 1024)),
        "INVALID_ARGUMENT etcdserver: request is too large",
      ],
      [
        () => client.callRaw(KV, "Put", { key: utf8("k"), lease: 5 }),
        "NOT_FOUND etcdserver: requested lease not found",
      ],
      [
        () => client.callRaw(KV, "Put", { key: utf8("none"), ignoreValue: true }),
        "INVALID_ARGUMENT etcdserver: key not found",
      ],
      [
        () => client.callRaw(KV, "Put", { key: utf8("k"), value: utf8("v"), ignoreValue: true }),
        "INVALID_ARGUMENT etcdserver: value is provided",
      ],
      [
        () => range(client, "k", "", { revision: 99 }),
        "OUT_OF_RANGE etcdserver: mvcc: required revision is a future revision",
      ],
      [
        () => range(client, "k", "", { revision: 2 }),
        "OUT_OF_RANGE etcdserver: mvcc: required revision has been compacted",
      ],
    ];
    for (const [call, expected] of cases) assert.is(await statusOf(call()), expected);
    assert.is(await statusOf(range(client, "k", "", { revision: 3 })), "OK");
    assert.equal((await range(client, "\0", "\0")).kvs.map(text), ["k=2"]);
  }));

test("a transaction: comparisons choose a branch, which is one revision or nothing", () =>
  withPd(async (client) => {
    const key = utf8("lock");
    const absent = {
      key,
      target: CompareTarget.CREATE,
      result: CompareResult.EQUAL,
      createRevision: 0,
    };
    const take = (owner: string) =>
      client.callRaw(KV, "Txn", {
        compare: [absent],
        success: [
          { requestPut: { key, value: utf8(owner) } },
          { requestPut: { key: utf8("seen"), value: utf8(owner) } },
        ],
        failure: [{ requestRange: { key } }],
      });
    const first = await take("one");
    assert.ok(first.succeeded);
    assert.is(toBigInt(first.header?.revision ?? 0), 2n);
    const second = await take("two");
    assert.not.ok(second.succeeded);
    assert.equal(second.responses[0]?.responseRange?.kvs.map(text), ["lock=one"]);
    const [pair] = (await range(client, "seen")).kvs;
    assert.is(toBigInt(pair?.modRevision ?? 0), 2n);
    const twice = client.callRaw(KV, "Txn", {
      success: [
        { requestPut: { key: utf8("x"), value: utf8("1") } },
        { requestPut: { key: utf8("x"), value: utf8("2") } },
      ],
    });
    const expected = "INVALID_ARGUMENT etcdserver: duplicate key given in txn request";
    assert.is(await statusOf(twice), expected);
    assert.equal((await range(client, "x")).kvs, []);
    const value = { key, target: CompareTarget.VALUE, result: CompareResult.GREATER };
    const isGreater = async (than: string): Promise<boolean> =>
      (await client.callRaw(KV, "Txn", { compare: [{ ...value, value: utf8(than) }] })).succeeded;
    assert.equal([await isGreater("onE"), await isGreater("one")], [true, false]);
  }));

test("what was answered is there after kill -9, revisions go on from there", async () => {
  const dataDir = tmpDir("pd-etcd-kill");
  let last = 0;
  let revision = 0n;
  for (let round = 0; round < 3; round++) {
    const child = await spawnPd(dataDir, 0);
    const { client } = child;
    if (round > 0) {
      const found = await range(client, "counter");
      const value = Number(utf8Decode(found.kvs[0]?.value ?? new Uint8Array(0)));
      assert.ok(value >= last, `round ${round}: ${value} of ${last}`);
      assert.ok(toBigInt(found.header?.revision ?? 0) >= revision, `round ${round}`);
    }
    const killed = new Promise((resolve) => child.process.once("exit", resolve));
    for (let calls = 0; ; calls++) {
      if (calls === 30) child.process.kill("SIGKILL");
      const answer = await put(client, "counter", String(last + 1)).catch(() => undefined);
      if (answer === undefined) break;
      last++;
      revision = toBigInt(answer.header?.revision ?? 0);
    }
    await killed;
    client.close();
  }
  assert.ok(last >= 80, `${last}`);
});

if (requires("etcdctl", () => hasProgram("etcdctl"))) {
  test("Debian's etcdctl: put, get with its options, del, member list", () =>
    withPd(async (_client, pd) => {
      const ctl = async (...args: string[]): Promise<string> => {
        const all = [`--endpoints=http://${pd.pd.address}`, ...args];
        const env = { ...process.env, ETCDCTL_API: "3" };
        const done = await runAsync("etcdctl", all, env);
        assert.is(done.code, 0, `etcdctl ${args.join(" ")}: ${done.stderr}`);
        return done.stdout.trim();
      };
      assert.is(await ctl("put", "a/1", "one"), "OK");
      assert.is(await ctl("put", "a/2", "two"), "OK");
      assert.is(await ctl("put", "b", "three"), "OK");
      assert.is(await ctl("get", "a/1"), "a/1\none");
      assert.is(await ctl("get", "--prefix", "a/"), "a/1\none\na/2\ntwo");
      assert.is(await ctl("get", "--prefix", "--keys-only", "--order=DESCEND", "a/"), "a/2\n\na/1");
      assert.is(await ctl("get", "--from-key", "--limit=1", "a/2"), "a/2\ntwo");
      assert.is(await ctl("get", "--prefix", "", "--print-value-only"), "one\ntwo\nthree");
      assert.match(await ctl("get", "a/1", "-w=json"), /"revision":4,.*"mod_revision":2/);
      assert.is(await ctl("put", "--prev-kv", "b", "four"), "OK\nb\nthree");
      assert.is(await ctl("del", "--prefix", "a/"), "2");
      assert.is(await ctl("get", "--prefix", "a/"), "");
      assert.is(await ctl("del", "--prev-kv", "b"), "1\nb\nfour");
      assert.match(await ctl("member", "list"), /started, pd,/);
    }));
}

test.run();
