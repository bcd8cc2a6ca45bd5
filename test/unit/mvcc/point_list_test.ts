/** Packed points: keys and timestamps come out as they went in; and when locks are looked for. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes, concatBytes, Prng, utf8 } from "../../../src/base/index.js";
import { dataKey, keyAppendTs, keyFromRaw, TS_MAX } from "../../../src/codec/index.js";
import { LockGlance, type MvccSnapshot, PointList } from "../../../src/mvcc/index.js";
import { MvccEngine } from "../../support/mvcc_engine.js";

test("a list gives back keys and timestamps, its ends and its newest timestamp", () => {
  const prng = new Prng(7n);
  for (let round = 0; round < 50; round++) {
    const list = new PointList(1 + prng.below(4));
    const points = Array.from({ length: 1 + prng.below(200) }, () => {
      const user = Uint8Array.from({ length: prng.below(20) }, () => prng.pick([0, 97, 255]));
      const ts = prng.pick([0n, 1n, 77n, 1n << 32n, (440n << 50n) + 3n, TS_MAX]);
      return { user, ts, key: keyFromRaw(user) };
    });
    points.forEach(({ user, key, ts }, i) => {
      const source = concatBytes(utf8("xyz"), user, utf8("w"));
      const [high, low] = [Number(ts >> 32n), Number(ts & 0xffff_ffffn)];
      if (i % 2 === 0) list.addUserKey(source, 3, user.length, high, low);
      else list.add(key, ts);
    });
    assert.is(list.length, points.length);
    points.forEach(({ key, ts }, i) => {
      assert.equal(list.key(i), key, `key ${i}`);
      assert.is(list.ts(i), ts, `ts ${i}`);
      const seek = concatBytes(utf8("w"), dataKey(keyAppendTs(key, ts)));
      assert.equal(list.bytes.slice(list.startOf(i), list.startOf(i + 1)), seek, `seek key ${i}`);
    });
    const keys = points.map(({ key }) => key);
    assert.equal([...list], keys);
    keys.sort(compareBytes);
    assert.equal([list.smallestKey, list.greatestKey], [keys[0], keys.at(-1)]);
    const counted = points.map(({ ts }) => (ts === TS_MAX ? 0n : ts));
    assert.is(
      list.newestTs,
      counted.reduce((newest, ts) => (ts > newest ? ts : newest), 0n),
    );
  }
});

test("looks in vain make pauses, a good one ends them", () => {
  let asked = 0;
  let isEmpty = false;
  const snapshot: MvccSnapshot = Object.assign(new MvccEngine().snapshot(), {
    provenEmpty: (cf: string, lower: Uint8Array, upper: Uint8Array): boolean => {
      assert.equal([cf, lower, upper], ["lock", utf8("a"), utf8("b\0")]);
      asked++;
      return isEmpty;
    },
  });
  const glance = new LockGlance();
  const look = (keys = 8): boolean => glance.showsNone(snapshot, keys, utf8("a"), utf8("b"));
  assert.is(look(7), false);
  assert.is(asked, 0, "too few keys to look");
  for (let i = 0; i < 1000; i++) assert.is(look(), false, `look ${i}`);
  assert.ok(asked > 15 && asked < 30, `${asked} looks in 1,000 reads`);
  isEmpty = true;
  for (let i = 0; i < 100; i++) look();
  assert.is(look(), true);
  asked = 0;
  for (let i = 0; i < 10; i++) assert.is(look(), true, `look ${i}`);
  assert.is(asked, 10);
});

test.run();
