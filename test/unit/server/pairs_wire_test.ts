/** Pairs that are written to the wire by hand are those of the messages. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, Prng } from "../../../src/base/index.js";
import { keyFromRaw, newLock } from "../../../src/codec/index.js";
import { kvrpcpb, toBigInt } from "../../../src/pb/index.js";
import { encodePairs } from "../../../src/server/pairs_wire.js";
import type { TxnPair } from "../../../src/storage/index.js";

const plain = (key: Uint8Array | undefined, value: Uint8Array | undefined): string =>
  `${Buffer.from(key ?? EMPTY_BYTES).toString("hex")}=${Buffer.from(value ?? EMPTY_BYTES).toString("hex")}`;

function randomBytes(prng: Prng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => prng.below(256));
}

test("keys of all lengths, values of all sizes, locks between them", () => {
  const prng = new Prng(11n);
  const lock = newLock({ type: 0x50, primary: Uint8Array.of(1), startTs: 9n, ttl: 1n });
  for (let round = 0; round < 200; round++) {
    const users = Array.from({ length: prng.below(40) }, () => randomBytes(prng, prng.below(30)));
    const pairs = users.map((user): TxnPair => {
      const key = keyFromRaw(user);
      if (prng.ratio(1, 6)) {
        return { key, error: { kind: "keyIsLocked", lock: { key: user, lock } } };
      }
      const value = randomBytes(prng, prng.pick([0, 1, 63, 64, 127, 128, 200, 17_000]));
      return { key, value, commitTs: BigInt(prng.below(1000)) << 40n };
    });
    for (const needCommitTs of [false, true]) {
      const bytes = encodePairs(pairs, needCommitTs);
      const read = kvrpcpb.ScanResponse.decode(bytes).pairs as kvrpcpb.KvPair[];
      assert.is(read.length, pairs.length);
      pairs.forEach((pair, i) => {
        const { key, value, commitTs, error } = read[i] as kvrpcpb.KvPair;
        if ("error" in pair) {
          assert.is(toBigInt(error?.locked?.lockVersion ?? 0), 9n, `lock ${i}`);
          return;
        }
        assert.is(error, null, `error ${i}`);
        assert.is(plain(key, value), plain(users[i], pair.value), `pair ${i}`);
        assert.is(toBigInt(commitTs), needCommitTs ? pair.commitTs : 0n, `commit_ts ${i}`);
      });
    }
  }
});

test("a key that is no encoded one is refused", () => {
  const pair = { key: Uint8Array.of(1, 2, 3), value: EMPTY_BYTES, commitTs: 1n };
  assert.throws(() => encodePairs([pair], false), /memcomparable/);
});

test.run();
