/** Scans and checksums longer than a slice: whole, consistent, and in many turns. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex, utf8 } from "../../../src/base/index.js";
import { crc64 } from "../../../src/kernel/index.js";
import type { RawScanOptions } from "../../../src/storage/index.js";
import { type Fixture, startFixture } from "../../support/store_fixture.js";

const COUNT = 800;
const keyOf = (i: number): Uint8Array => utf8(`rk${String(i).padStart(6, "0")}`);
const valueAt = (i: number): Uint8Array => utf8(`value ${i}`);
const WHOLE = { startKey: utf8("r"), endKey: utf8("s") };

/** A store with COUNT keys, each written `rounds` times; every seventh is deleted at last. */
async function filled(apiVersion: 0 | 1 | 2, rounds: number): Promise<Fixture> {
  const fixture = await startFixture({ storage: { apiVersion } });
  const { raw } = fixture.store.storage;
  const all = Array.from({ length: COUNT }, (_, i) => ({
    key: keyOf(i),
    value: valueAt(i),
    ttl: 0n,
  }));
  for (let round = 0; round < rounds; round++) await raw.batchPut(fixture.ctx, "", all, false);
  const dead = all.filter((_, i) => i % 7 === 0).map(({ key }) => key);
  await raw.batchDelete(fixture.ctx, "", dead, false);
  return fixture;
}

/** Compares long lists; the assertion's own diff of them would take minutes. */
function same(got: readonly unknown[], expected: readonly unknown[], what: string): void {
  const first = got.findIndex((item, i) => String(item) !== String(expected[i]));
  assert.is(first, -1, `${what}: item ${first} is ${got[first]}, not ${expected[first]}`);
  assert.is(got.length, expected.length, what);
}

const alive = Array.from({ length: COUNT }, (_, i) => i).filter((i) => i % 7 !== 0);

async function scan(
  { store, ctx }: Fixture,
  options: Partial<RawScanOptions>,
): Promise<[string, string][]> {
  const reply = await store.storage.raw.scan(ctx, "", {
    ...WHOLE,
    limit: COUNT,
    keyOnly: false,
    reverse: false,
    ...options,
  });
  assert.ok(reply.ok);
  const pairs = reply.ok ? reply.value : [];
  return pairs.map(({ key, value }) => [toHex(key), toHex(value)]);
}

for (const apiVersion of [0, 1, 2] as const) {
  test(`mode ${apiVersion}: forward, reverse, limited, keys only`, async () => {
    const fixture = await filled(apiVersion, 3);
    const expected = alive.map((i) => [toHex(keyOf(i)), toHex(valueAt(i))]);
    same(await scan(fixture, {}), expected, "forward");
    const down = { startKey: WHOLE.endKey, endKey: WHOLE.startKey, reverse: true };
    // In V2, TiKV refuses "s" as the start of a range.
    const from = apiVersion === 2 ? { ...down, startKey: utf8("r~") } : down;
    same(await scan(fixture, from), expected.toReversed(), "reverse");
    same(await scan(fixture, { limit: 555 }), expected.slice(0, 555), "limited");
    const keysOnly = expected.slice(0, 300).map(([key]) => [key, ""]);
    same(await scan(fixture, { keyOnly: true, limit: 300 }), keysOnly, "keys only");
    await fixture.store.stop();
    await fixture.engine.close();
  });

  test(`mode ${apiVersion}: checksum over several ranges`, async () => {
    const fixture = await filled(apiVersion, 2);
    const ranges = [
      { startKey: utf8("r"), endKey: keyOf(500) },
      { startKey: keyOf(500), endKey: keyOf(501) },
      { startKey: keyOf(501), endKey: utf8("s") },
    ];
    const reply = await fixture.store.storage.raw.checksum(fixture.ctx, ranges);
    let checksum = 0n;
    let bytes = 0;
    for (const i of alive) {
      checksum ^= crc64(keyOf(i), valueAt(i));
      bytes += keyOf(i).length + valueAt(i).length;
    }
    assert.equal(reply, {
      ok: true,
      value: { checksum, totalKvs: BigInt(alive.length), totalBytes: BigInt(bytes) },
    });
    await fixture.store.stop();
    await fixture.engine.close();
  });
}

test("a batch scan limits each range and follows open ends", async () => {
  const fixture = await filled(0, 1);
  const { store, ctx } = fixture;
  const reply = await store.storage.raw.batchScan(
    ctx,
    "",
    [
      { startKey: keyOf(10), endKey: utf8("") },
      { startKey: keyOf(13), endKey: keyOf(600) },
      { startKey: keyOf(798), endKey: utf8("") },
    ],
    4,
    { keyOnly: false, reverse: false },
  );
  const keys = reply.ok ? reply.value.map(({ key }) => toHex(key)) : [];
  assert.equal(
    keys,
    [10, 11, 12, 13, 15, 16, 17, 799].map((i) => toHex(keyOf(i))),
  );
  await store.stop();
  await fixture.engine.close();
});

test("a long scan yields, and does not see what is written while it runs", async () => {
  const fixture = await startFixture({ storage: { readSliceMs: 0.01 } });
  const { raw } = fixture.store.storage;
  const pairs = Array.from({ length: COUNT }, (_, i) => ({
    key: keyOf(i),
    value: utf8("old"),
    ttl: 0n,
  }));
  await raw.batchPut(fixture.ctx, "", pairs, false);
  let turns = 0;
  let running = true;
  const scanning = scan(fixture, {}).finally(() => {
    running = false;
  });
  const written = raw.batchPut(
    fixture.ctx,
    "",
    pairs.map((pair) => ({ ...pair, value: utf8("new") })),
    false,
  );
  while (running) {
    turns++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const values = new Set((await scanning).map(([, value]) => value));
  assert.equal([...values], [toHex(utf8("old"))]);
  assert.ok((await written).ok);
  assert.ok(turns >= 1, `${turns} turns`);
  await fixture.store.stop();
  await fixture.engine.close();
});

test.run();
