/** What raw commands refuse: the text or region error, and which one comes first. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import {
  API_VERSION,
  type ApiVersion,
  type RawStorage,
  type Reply,
  type RequestContext,
  type StorageError,
  type StorageOptions,
} from "../../../src/storage/index.js";
import { startFixture } from "../../support/store_fixture.js";

const KEY = utf8("rk");
const RANGE = { startKey: utf8("ra"), endKey: utf8("rz") };
const SCAN = { ...RANGE, limit: 10, keyOnly: false, reverse: false };
const pair = (key: Uint8Array, ttl = 0n) => ({ key, value: utf8("v"), ttl });

type Call = (
  raw: RawStorage,
  ctx: RequestContext,
  cf: string,
) => Reply<unknown> | Promise<Reply<unknown>>;

/** Every raw command, with keys that all modes accept. */
const COMMANDS: Readonly<Record<string, Call>> = {
  raw_get: (raw, ctx, cf) => raw.get(ctx, cf, KEY),
  raw_batch_get: (raw, ctx, cf) => raw.batchGet(ctx, cf, [KEY]),
  raw_get_key_ttl: (raw, ctx, cf) => raw.getKeyTtl(ctx, cf, KEY),
  raw_put: (raw, ctx, cf) => raw.put(ctx, cf, pair(KEY), false),
  raw_batch_put: (raw, ctx, cf) => raw.batchPut(ctx, cf, [pair(KEY)], false),
  raw_atomic_store: (raw, ctx, cf) => raw.put(ctx, cf, pair(KEY), true),
  raw_delete: (raw, ctx, cf) => raw.delete(ctx, cf, KEY, false),
  raw_batch_delete: (raw, ctx, cf) => raw.batchDelete(ctx, cf, [KEY], false),
  raw_delete_range: (raw, ctx, cf) => raw.deleteRange(ctx, cf, RANGE.startKey, RANGE.endKey),
  raw_scan: (raw, ctx, cf) => raw.scan(ctx, cf, SCAN),
  raw_batch_scan: (raw, ctx, cf) =>
    raw.batchScan(ctx, cf, [RANGE], 10, { keyOnly: false, reverse: false }),
  raw_compare_and_swap: (raw, ctx, cf) =>
    raw.compareAndSwap(ctx, cf, KEY, undefined, utf8("v"), 0n, false),
  raw_checksum: (raw, ctx) => raw.checksum(ctx, [RANGE]),
};

async function withStore(
  storage: Partial<StorageOptions>,
  use: (raw: RawStorage, ctx: RequestContext) => Promise<void>,
): Promise<void> {
  const { store, ctx } = await startFixture({ storage });
  try {
    await use(store.storage.raw, ctx);
  } finally {
    await store.stop();
  }
}

function errorOf(reply: Reply<unknown>): StorageError {
  assert.not.ok(reply.ok, "the command was not refused");
  return (reply as { error: StorageError }).error;
}

const show = (error: StorageError): string =>
  error.type === "key" ? error.message : `region: ${error.error.kind}`;

const MODES: readonly [ApiVersion, number][] = [
  [API_VERSION.V1, 2],
  [API_VERSION.V1TTL, 2],
  [API_VERSION.V2, 0],
];

test("every command: another API version comes before a wrong region and a wrong CF", async () => {
  const names = { [API_VERSION.V1]: "V1", [API_VERSION.V1TTL]: "V1ttl", [API_VERSION.V2]: "V2" };
  for (const [apiVersion, other] of MODES) {
    await withStore({ apiVersion }, async (raw, ctx) => {
      for (const [command, call] of Object.entries(COMMANDS)) {
        const wrong = { ...ctx, apiVersion: other, regionId: 99n };
        const error = errorOf(await call(raw, wrong, "nope"));
        assert.is(
          show(error),
          "Api version in request does not match with TiKV storage, " +
            `cmd: ${command}, storage: ${names[apiVersion]}, request: ${other === 2 ? "V2" : "V1"}`,
        );
      }
    });
  }
});

test("every command refuses a wrong region, peer, store, term and epoch", async () => {
  for (const apiVersion of Object.values(API_VERSION)) {
    await withStore({ apiVersion }, async (raw, ctx) => {
      for (const [command, call] of Object.entries(COMMANDS)) {
        for (const [fault, kind] of [
          [{ storeId: 99n }, "storeNotMatch"],
          [{ regionId: 99n }, "regionNotFound"],
          [{ peerId: 99n }, "mismatchPeerId"],
          [{ term: 1n }, "staleCommand"],
          [{ version: 99n }, "epochNotMatch"],
        ] as const) {
          const error = errorOf(await call(raw, { ...ctx, ...fault }, ""));
          assert.is(show(error), `region: ${kind}`, command);
        }
      }
    });
  }
});

test("every command with a CF: reads meet the region first, writes the CF", async () => {
  await withStore({ apiVersion: API_VERSION.V1TTL }, async (raw, ctx) => {
    const reads = ["raw_get", "raw_batch_get", "raw_get_key_ttl", "raw_scan", "raw_batch_scan"];
    for (const [command, call] of Object.entries(COMMANDS)) {
      if (command === "raw_checksum") continue;
      assert.is(show(errorOf(await call(raw, ctx, "nope"))), "invalid cf name: nope", command);
      const both = errorOf(await call(raw, { ...ctx, regionId: 99n }, "nope"));
      const expected = reads.includes(command) ? "region: regionNotFound" : "invalid cf name: nope";
      assert.is(show(both), expected, command);
    }
  });
  await withStore({ apiVersion: API_VERSION.V2 }, async (raw, ctx) => {
    const error = errorOf(await raw.get(ctx, "default", KEY));
    assert.is(show(error), "cf is deprecated in API V2, cf name: default");
  });
});

test("a TTL where there is none", async () => {
  await withStore({ apiVersion: API_VERSION.V1 }, async (raw, ctx) => {
    const text = "ttl is not enabled, but get put request with ttl";
    assert.is(show(errorOf(await raw.put(ctx, "", pair(KEY, 1n), false))), text);
    assert.is(show(errorOf(await raw.put(ctx, "", pair(KEY, 1n), true))), text);
    assert.is(show(errorOf(await raw.batchPut(ctx, "", [pair(KEY), pair(KEY, 1n)], false))), text);
    const cas = await raw.compareAndSwap(ctx, "", KEY, undefined, utf8("v"), 1n, false);
    assert.is(show(errorOf(cas)), text);
    assert.is(show(errorOf(await raw.getKeyTtl(ctx, "", KEY))), "get ttl on non-ttl store");
  });
});

test("keys: the longest one fits, one byte more does not; the empty key is a key", async () => {
  await withStore({ maxKeySizeBytes: 16 }, async (raw, ctx) => {
    const long = new Uint8Array(17);
    const text = "max key size exceeded, size: 17, limit: 16";
    assert.ok((await raw.put(ctx, "", pair(new Uint8Array(16)), false)).ok);
    assert.is(show(errorOf(await raw.put(ctx, "", pair(long), false))), text);
    assert.is(show(errorOf(await raw.batchDelete(ctx, "", [KEY, long], false))), text);
    assert.is(show(errorOf(await raw.deleteRange(ctx, "", KEY, long))), text);
    assert.ok((await raw.put(ctx, "", pair(new Uint8Array(0)), false)).ok);
    const empty = await raw.get(ctx, "", new Uint8Array(0));
    assert.equal(empty.ok && empty.value, utf8("v"));
  });
});

test("a command larger than a raft entry", async () => {
  await withStore(
    { raftEntryMaxSizeBytes: 1000, schedulerPendingWriteThresholdBytes: 10_000 },
    async (raw, ctx) => {
      const large = { key: KEY, value: new Uint8Array(1000), ttl: 0n };
      const error = errorOf(await raw.put(ctx, "", large, false));
      assert.is(show(error), "region: raftEntryTooLarge");
      assert.match(
        error.type === "region" ? error.error.message : "",
        /^raft entry is too large, region 2, entry size 10\d\d$/,
      );
    },
  );
});

test("ranges: an inverted scan is empty, an inverted delete range is refused", async () => {
  await withStore({}, async (raw, ctx) => {
    await raw.put(ctx, "", pair(KEY), false);
    const scan = await raw.scan(ctx, "", { ...SCAN, startKey: utf8("z"), endKey: utf8("a") });
    assert.equal(scan, { ok: true, value: [] });
    const same = await raw.scan(ctx, "", { ...SCAN, startKey: KEY, endKey: KEY });
    assert.equal(same, { ok: true, value: [] });
    const backwards = await raw.deleteRange(ctx, "", utf8("z"), utf8("a"));
    assert.is(
      show(errorOf(backwards)),
      "invalid delete range command, start_key: [122], end_key: [97]",
    );
    const batch = await raw.batchScan(ctx, "", [{ startKey: utf8("z"), endKey: utf8("a") }], 1, {
      keyOnly: false,
      reverse: false,
    });
    assert.is(show(errorOf(batch)), "Invalid KeyRanges");
  });
});

test("open ends reach the last key; a reverse scan from the empty key is empty", async () => {
  await withStore({}, async (raw, ctx) => {
    const last = Uint8Array.of(0xff, 0xff);
    await raw.put(ctx, "", pair(last), false);
    const open = { ...SCAN, startKey: utf8(""), endKey: utf8("") };
    const forward = await raw.scan(ctx, "", open);
    assert.is(forward.ok && forward.value.length, 1);
    const limit = await raw.scan(ctx, "", { ...open, limit: 0xffff_ffff });
    assert.is(limit.ok && limit.value.length, 1);
    assert.equal(await raw.scan(ctx, "", { ...open, reverse: true }), { ok: true, value: [] });
    const above = { ...open, startKey: Uint8Array.of(0xff, 0xff, 0), reverse: true };
    const reverse = await raw.scan(ctx, "", above);
    assert.is(reverse.ok && reverse.value.length, 1);
    assert.ok((await raw.deleteRange(ctx, "", utf8(""), utf8(""))).ok);
    assert.equal(await raw.scan(ctx, "", open), { ok: true, value: [] });
  });
});

test("V1 keeps its column families apart", async () => {
  await withStore({}, async (raw, ctx) => {
    for (const cf of ["", "lock", "write"]) {
      await raw.put(ctx, cf, { key: KEY, value: utf8(`in ${cf}`), ttl: 0n }, false);
    }
    for (const [cf, value] of [
      ["default", "in "],
      ["lock", "in lock"],
      ["write", "in write"],
    ] as const) {
      const got = await raw.get(ctx, cf, KEY);
      assert.equal(got.ok && got.value, utf8(value), cf);
    }
  });
});

test.run();
