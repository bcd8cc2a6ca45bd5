/** RawClient's operations against scripted stores: results, batching, regions, arguments. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeBytes } from "../../../src/codec/index.js";
import { type ClientCluster, rejection, withCluster } from "../../support/client_cluster.js";

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString();
const keys = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `k${String(i).padStart(5, "0")}`);

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}

for (const batchCommands of [true, false]) {
  const mode = batchCommands ? "batched" : "unary";

  test(`put, get, delete (${mode})`, () =>
    withCluster(
      async ({ client, stores }) => {
        assert.is(await client.get("a"), undefined);
        await client.put("a", "1");
        await client.put("empty", "");
        assert.is(text(await client.get("a")), "1");
        assert.is(text(await client.get("empty")), "");
        await client.delete("a");
        assert.is(await client.get("a"), undefined);
        assert.is(stores[0]?.log[0], batchCommands ? "RawGet" : "*RawGet");
      },
      { batchCommands },
    ));

  test(`batches over regions keep the order of the keys (${mode})`, () =>
    withCluster(
      async ({ client, cluster }) => {
        for (const key of ["k00100", "k00300", "k00500"]) cluster.split(Buffer.from(key));
        const all = keys(600);
        await client.batchPut(all.map((key) => ({ key, value: `v${key}` })));
        assert.is(cluster.pairs.size, 600);
        const mixed = [...all, "missing", "k00001"].reverse();
        const values = await client.batchGet(mixed);
        assert.equal(
          values.map(text),
          mixed.map((key) => (key === "missing" ? undefined : `v${key}`)),
        );
        await client.batchDelete(all.slice(0, 599));
        assert.equal([...cluster.pairs.keys()].length, 1);
      },
      { batchCommands },
    ));
}

test("requests of one turn share messages of at most 128", () =>
  withCluster(async ({ client, stores }) => {
    await client.put("warm", "up");
    const store = stores[0] as ClientCluster["stores"][number];
    store.batchSizes.length = 0;
    await Promise.all(keys(300).map((key) => client.put(key, key)));
    assert.equal(store.batchSizes, [128, 128, 44]);
    const values = await Promise.all(keys(300).map((key) => client.get(key)));
    assert.equal(values.map(text), keys(300));
  }));

test("many cold requests ask PD few questions", () =>
  withCluster(async ({ client, pd }) => {
    await Promise.all(keys(2000).map((key) => client.put(key, "v")));
    assert.is(pd.count("GetStore"), 1);
    assert.is(pd.count("GetRegion"), 1);
  }));

test("what a caller gets is his own copy", () =>
  withCluster(async ({ client }) => {
    await client.put("a", "12");
    const first = (await client.get("a")) as Uint8Array;
    first.fill(0);
    assert.is(text(await client.get("a")), "12");
    assert.is(first.buffer.byteLength, 2);
  }));

test("scan and reverseScan cross regions, in pages, with limits", () =>
  withCluster(async ({ client, cluster }) => {
    for (const key of ["k00100", "k00101", "k00250"]) cluster.split(Buffer.from(key));
    for (const key of keys(300)) cluster.put(Buffer.from(key), Buffer.from(key.slice(1)));
    const names = async (pairs: AsyncIterable<{ key: Uint8Array }>): Promise<string[]> =>
      (await all(pairs)).map(({ key }) => text(key) as string);
    for (const pageSize of [7, 100, 256]) {
      assert.equal(await names(client.scan({ pageSize })), keys(300), `forward ${pageSize}`);
      const back = await names(client.reverseScan({ pageSize }));
      assert.equal(back, keys(300).reverse(), `backward ${pageSize}`);
    }
    const part = { start: "k00099", end: "k00251" };
    assert.equal(await names(client.scan(part)), keys(300).slice(99, 251));
    assert.equal(await names(client.reverseScan(part)), keys(300).slice(99, 251).reverse());
    assert.equal(await names(client.scan({ ...part, limit: 3 })), ["k00099", "k00100", "k00101"]);
    const last = await names(client.reverseScan({ ...part, limit: 2 }));
    assert.equal(last, ["k00250", "k00249"]);
    assert.equal(await names(client.scan({ limit: 0 })), []);
    assert.equal(await names(client.scan({ start: "z", end: "a" })), []);
    const [pair] = await all(client.scan({ keyOnly: true, limit: 1 }));
    assert.is(pair?.value.length, 0);
  }));

test("a scan survives a split under its feet", () =>
  withCluster(async ({ client, cluster }) => {
    for (const key of keys(100)) cluster.put(Buffer.from(key), Buffer.from(""));
    const seen: string[] = [];
    for await (const { key } of client.scan({ pageSize: 10 })) {
      seen.push(text(key) as string);
      if (seen.length === 25) cluster.split(Buffer.from("k00030"));
      if (seen.length === 55) cluster.mergeRight(Buffer.from("k00000"));
    }
    assert.equal(seen, keys(100));
  }));

test("deleteRange and checksum go region by region", () =>
  withCluster(async ({ client, cluster }) => {
    for (const key of keys(100)) cluster.put(Buffer.from(key), Buffer.from("v"));
    const whole = await client.checksum("", "");
    for (const key of ["k00010", "k00050"]) cluster.split(Buffer.from(key));
    assert.equal(await client.checksum("", ""), whole);
    assert.is(whole.totalKvs, 100n);
    assert.is(whole.totalBytes, 700n);
    await client.deleteRange("k00005", "k00095");
    assert.is(cluster.pairs.size, 10);
    await client.deleteRange("k00095", "");
    assert.is(cluster.pairs.size, 5);
    await client.deleteRange("b", "a");
    assert.is(cluster.pairs.size, 5);
  }));

test("TTL and compare-and-swap", () =>
  withCluster(async ({ client, stores }) => {
    await client.put("t", "1", { ttlSeconds: 60 });
    await client.put("u", "1");
    assert.is(await client.getKeyTtl("t"), 60);
    assert.is(await client.getKeyTtl("u"), 0);
    assert.is(await client.getKeyTtl("none"), undefined);
    await client.batchPut([
      { key: "v", value: "1", ttlSeconds: 9 },
      { key: "w", value: "1" },
    ]);
    assert.equal([await client.getKeyTtl("v"), await client.getKeyTtl("w")], [9, 0]);
    assert.equal(await client.compareAndSwap("c", undefined, "1"), {
      swapped: true,
      previous: undefined,
    });
    const lost = await client.compareAndSwap("c", "0", "2");
    assert.equal([lost.swapped, text(lost.previous)], [false, "1"]);
    const won = await client.compareAndSwap("c", "1", "2");
    assert.equal([won.swapped, text(won.previous)], [true, "1"]);
    assert.ok(stores[0]?.log.includes("*RawCompareAndSwap"));
  }));

test("bad arguments are refused before anything is sent", () =>
  withCluster(async ({ client, stores }) => {
    const code = "RUTILE:Client:InvalidArgument";
    assert.match(await rejection(client.get("")), `${code}: the key is empty`);
    const long = new Uint8Array(70_000);
    assert.match(await rejection(client.put(long, "")), `${code}: the key has 70000 bytes`);
    assert.match(await rejection(client.put("a", "b", { ttlSeconds: -1 })), `${code}: ttlSeconds`);
    assert.match(await rejection(client.put("a", "b", { ttlSeconds: 0.5 })), `${code}: ttlSeconds`);
    assert.match(await rejection(client.scan({ pageSize: 0 }).next()), `${code}: pageSize`);
    assert.match(await rejection(client.scan({ limit: Number.NaN }).next()), `${code}: limit`);
    assert.equal(stores[0]?.log, []);
  }));

test("the context names cluster, region, epoch, peer and API version", () =>
  withCluster(async ({ client, cluster, stores }) => {
    cluster.split(Buffer.from("m"));
    await client.get("z");
    const context = stores[0]?.contexts[0];
    const region = cluster.regions[1];
    assert.is(context?.clusterId.toString(), cluster.clusterId.toString());
    assert.is(context?.regionId.toString(), String(region?.id));
    assert.is(context?.regionEpoch?.version.toString(), "2");
    assert.is(context?.peer?.storeId.toString(), "1");
    assert.equal([context?.apiVersion, context?.keyspaceId], [0, 0xffff_ffff]);
  }));

test("API V2: keys carry the keyspace, boundaries are encoded, callers see neither", () =>
  withCluster(
    async ({ client, cluster, pd, stores }) => {
      pd.encodeKey = encodeBytes;
      const prefix = Buffer.from("72000000", "hex");
      cluster.split(Buffer.concat([prefix, Buffer.from("k00050")]));
      await client.batchPut(keys(100).map((key) => ({ key, value: key })));
      assert.ok(cluster.get(Buffer.concat([prefix, Buffer.from("k00000")])));
      cluster.put(Buffer.from("72000001616161", "hex"), Buffer.from("another keyspace"));
      const forward = await all(client.scan());
      assert.equal(
        forward.map(({ key }) => text(key)),
        keys(100),
      );
      const backward = await all(client.reverseScan());
      assert.equal(
        backward.map(({ key }) => text(key)),
        keys(100).reverse(),
      );
      await client.deleteRange("", "");
      assert.is(cluster.pairs.size, 1);
      assert.equal(
        [stores[0]?.contexts[0]?.apiVersion, stores[0]?.contexts[0]?.keyspaceId],
        [2, 0],
      );
    },
    { apiVersion: "V2" },
  ));

test("an unknown keyspace is refused with PD's words", async () => {
  const refused = await rejection(
    withCluster(async () => {}, { apiVersion: "V2", keyspace: "no" }),
  );
  assert.match(refused, /^RUTILE:Client:PdRefused: PD has no keyspace "no"/);
});

test.run();
