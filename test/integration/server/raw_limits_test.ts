/**
 * Odd arguments of raw commands over the wire, and reads that are far too large: the answers are
 * TiKV's, and other clients are served while they run.
 * @timeout 60
 */
import type { Client } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { fromBigInt, type kvrpcpb } from "../../../src/pb/index.js";
import { REAL_CLOCK } from "../../support/clocks.js";
import { whileServed } from "../../support/control_client.js";
import { BatchClient, type Served, startServed, unary } from "../../support/tikv_server.js";

async function withServed(
  options: Parameters<typeof startServed>[0],
  run: (served: Served, client: Client) => Promise<void>,
): Promise<void> {
  const served = await startServed(options);
  try {
    await run(served, served.connect());
  } finally {
    await served.stop();
  }
}

/** Puts `count` keys "00000000", "00000001" …, each with `value`. */
async function fill(served: Served, count: number, value: Uint8Array): Promise<void> {
  const { raw } = served.fixture.store.storage;
  const step = 2000;
  for (let at = 0; at < count; at += step) {
    const pairs = Array.from({ length: Math.min(step, count - at) }, (_, i) => ({
      key: utf8(String(at + i).padStart(8, "0")),
      value,
      ttl: 0n,
    }));
    assert.ok((await raw.batchPut(served.fixture.ctx, "", pairs, false)).ok);
  }
}

const keysOf = ({ kvs }: kvrpcpb.RawScanResponse): string[] =>
  kvs.map(({ key }) => Buffer.from(key).toString());

test("scan limits: 0 is none, 1, u32::MAX is all, and -1 on the wire is u32::MAX", () =>
  withServed({}, async (served, client) => {
    await fill(served, 20, utf8("v"));
    const { context } = served;
    const batch = new BatchClient(client);
    for (const [limit, count] of [
      [0, 0],
      [1, 1],
      [0xffff_ffff, 20],
      [-1, 20],
    ] as const) {
      for (const reverse of [false, true]) {
        const startKey = utf8(reverse ? "9" : "");
        const request = { context, startKey, limit, reverse };
        const single = await unary(client, "RawScan", request);
        assert.is(single.kvs.length, count, `limit ${limit}, reverse ${reverse}`);
        const [answer] = await batch.call({ RawScan: request });
        assert.is(answer?.RawScan?.kvs.length, count, `limit ${limit}, batched`);
      }
    }
  }));

test("scan ranges: start after end, swapped bounds in reverse, start = end: empty, no error", () =>
  withServed({}, async (served, client) => {
    await fill(served, 20, utf8("v"));
    const { context } = served;
    const low = utf8("00000005");
    const high = utf8("00000008");
    for (const [start, end, reverse, expected] of [
      [low, high, false, ["00000005", "00000006", "00000007"]],
      [high, low, false, []],
      [low, low, false, []],
      [high, low, true, ["00000007", "00000006", "00000005"]],
      [low, high, true, []],
      [low, low, true, []],
      [utf8(""), utf8(""), true, []],
    ] as const) {
      const request = { context, startKey: start, endKey: end, limit: 100, reverse };
      const answer = await unary(client, "RawScan", request);
      assert.is(answer.regionError, null);
      assert.equal(keysOf(answer), [...expected], `${start} to ${end}, reverse ${reverse}`);
    }
  }));

test("key_only gives keys without values, also of keys with a TTL", async () => {
  for (const apiVersion of [0, 1] as const) {
    await withServed({ storage: { apiVersion } }, async (served, client) => {
      await fill(served, 3, Buffer.alloc(1000));
      const answer = await unary(client, "RawScan", {
        context: served.context,
        limit: 10,
        keyOnly: true,
      });
      assert.is(answer.kvs.length, 3);
      assert.ok(answer.kvs.every(({ value }) => value.length === 0));
    });
  }
});

test("the empty key is a key, the empty value a value, and both are told from nothing", () =>
  withServed({}, async (served, client) => {
    const { context } = served;
    const none = new Uint8Array(0);
    const missing = await unary(client, "RawGet", { context, key: none });
    assert.equal([missing.notFound, missing.error], [true, ""]);
    const put = await unary(client, "RawPut", { context, key: none, value: none });
    assert.is(put.error, "");
    const found = await unary(client, "RawGet", { context, key: none });
    assert.equal([found.notFound, found.value.length], [false, 0]);
    const [answer] = await new BatchClient(client).call({ RawGet: { context, key: none } });
    assert.equal([answer?.RawGet?.notFound, answer?.RawGet?.value.length], [false, 0]);
  }));

test("a key of 8 KiB fits, one byte more is TiKV's KeyTooLarge; 8 MiB of value is too large", () =>
  withServed({}, async (served, client) => {
    const { context } = served;
    const value = utf8("v");
    const longest = new Uint8Array(8192);
    assert.is((await unary(client, "RawPut", { context, key: longest, value })).error, "");
    const { error } = await unary(client, "RawPut", { context, key: new Uint8Array(8193), value });
    assert.match(error, /max key size exceeded, size: 8193, limit: 8192/);
    const large = { context, key: utf8("large"), value: new Uint8Array(8 << 20) };
    const { regionError } = await unary(client, "RawPut", large);
    assert.match(
      regionError?.message ?? "",
      /^raft entry is too large, region \d+, entry size \d+/,
    );
    assert.ok(regionError?.raftEntryTooLarge);
    const fits = { ...large, value: new Uint8Array((8 << 20) - 1024) };
    assert.is((await unary(client, "RawPut", fits)).regionError, null);
  }));

test("TTL at its ends, and where there is none", async () => {
  await withServed({ storage: { apiVersion: 1 } }, async (served, client) => {
    const { context } = served;
    const key = utf8("k");
    for (const ttl of [0n, 1n << 53n, 1n << 63n, (1n << 64n) - 1n]) {
      const request = { context, key, value: utf8("v"), ttl: fromBigInt(ttl) };
      assert.is((await unary(client, "RawPut", request)).error, "", `ttl ${ttl}`);
      assert.is((await unary(client, "RawGet", { context, key })).notFound, false, `ttl ${ttl}`);
    }
  });
  await withServed({}, async (served, client) => {
    const { context } = served;
    const request = { context, key: utf8("k"), value: utf8("v"), ttl: fromBigInt(1n) };
    const text = "ttl is not enabled, but get put request with ttl";
    assert.is((await unary(client, "RawPut", request)).error, text);
    const got = await unary(client, "RawGetKeyTTL", { context, key: utf8("k") });
    assert.is(got.error, "get ttl on non-ttl store");
  });
});

test("giant scans at once, while another client is served", () =>
  withServed({ clock: REAL_CLOCK }, async (served, client) => {
    const count = 12_000;
    await fill(served, count, Buffer.alloc(20));
    const request = { context: served.context, limit: 0xffff_ffff };
    await whileServed(served, async () => {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => unary(client, "RawScan", request)),
      );
      for (const { kvs } of answers) assert.is(kvs.length, count);
    });
  }));

test("scans over the bounds: ServerIsBusy when too many wait, an error when one is too large", () =>
  withServed(
    {
      clock: REAL_CLOCK,
      storage: { readPoolTasksMax: 2, readPoolActiveMax: 1, scanResponseMaxBytes: 300_000 },
    },
    async (served, client) => {
      await fill(served, 20_000, Buffer.alloc(10));
      const { context } = served;
      const all = { context, limit: 10_000, keyOnly: true };
      const answers = await Promise.all(
        Array.from({ length: 30 }, () => unary(client, "RawScan", all)),
      );
      const busy = answers.filter(({ regionError }) => regionError?.serverIsBusy);
      assert.ok(busy.length > 0, "some are refused");
      assert.is(busy[0]?.regionError?.serverIsBusy?.reason, "scheduler is busy");
      assert.ok(busy.length < 30, "some are served");
      const { kvs } = await unary(client, "RawScan", { context, limit: 20_000 });
      const text = "scan result exceeds 300000 bytes, use a smaller limit";
      assert.match(JSON.stringify(kvs[0]?.error), new RegExp(text));
      assert.is((await unary(client, "RawScan", { context, limit: 3 })).kvs.length, 3);
    },
  ));

test.run();
