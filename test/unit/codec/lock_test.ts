/** Lock records: round trips of every field, what is tolerated, what is refused. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, fromHex, TikvError, toHex, utf8 } from "../../../src/base/index.js";
import {
  encodeLock,
  LOCK_TYPE,
  type Lock,
  type LockType,
  newLock,
  parseLock,
} from "../../../src/codec/index.js";

const U64_MAX = 2n ** 64n - 1n;
const u64 = fc.bigInt({ min: 0n, max: U64_MAX });
const optionalU64 = fc.oneof(fc.constant(0n), u64);
const bytes = fc.uint8Array({ maxLength: 40 });

const UNSHARED = (Object.values(LOCK_TYPE) as LockType[]).filter(
  (type) => type !== LOCK_TYPE.shared,
);

/** Any lock; what no record carries is left at its default. */
const anyLock: fc.Arbitrary<Lock> = fc
  .record({
    type: fc.constantFrom(...UNSHARED),
    primary: fc.oneof(bytes, fc.uint8Array({ minLength: 120, maxLength: 300 })),
    startTs: u64,
    ttl: u64,
    shortValue: fc.option(fc.uint8Array({ maxLength: 255 }), { nil: undefined }),
    forUpdateTs: optionalU64,
    txnSize: optionalU64,
    minCommitTs: optionalU64,
    secondaries: fc.option(fc.array(bytes, { maxLength: 4 }), { nil: undefined }),
    rollbackTs: fc.array(u64, { maxLength: 3 }),
    lastChange: fc
      .record({ ts: optionalU64, versions: optionalU64 })
      .map(({ ts, versions }) => ({ ts, versions })),
    txnSource: optionalU64,
    isLockedWithConflict: fc.boolean(),
    generation: optionalU64,
  })
  .map(({ secondaries, ...fields }) =>
    newLock({
      ...fields,
      useAsyncCommit: secondaries !== undefined,
      secondaries: secondaries ?? [],
    }),
  );

function isCut(error: unknown): boolean {
  return error instanceof TikvError && error.code === "KV:Codec:Io";
}

test("every field comes back", () => {
  fc.assert(fc.property(anyLock, (lock) => assert.equal(parseLock(encodeLock(lock)), lock)));
});

test("a shared lock is the list of those who share it, the oldest speaks for all", () => {
  fc.assert(
    fc.property(fc.array(anyLock, { minLength: 1, maxLength: 5 }), bytes, (sharedBy, rest) => {
      const [first] = sharedBy as [Lock];
      const oldest = sharedBy.reduce((a, b) => (b.startTs < a.startTs ? b : a));
      const record = encodeLock({ ...first, type: LOCK_TYPE.shared, sharedBy });
      const { primary, startTs, ttl } = oldest;
      const type = LOCK_TYPE.shared;
      const expected = { ...newLock({ type, primary, startTs, ttl }), sharedBy };
      assert.equal(parseLock(record), expected);
      const behind = concatBytes(record, utf8("?"), rest);
      assert.equal(parseLock(behind), expected, "an unknown field is left out");
    }),
  );
});

test("shared locks as TiKV writes them: flags, none who shares, the same in a list of two", () => {
  const inner = newLock({ type: LOCK_TYPE.pessimistic, primary: utf8("pk"), startTs: 9n, ttl: 3n });
  const one = toHex(encodeLock(inner));
  const size = (hex: string): string => hex.length.toString(16).padStart(2, "0");
  const nobody = newLock({ type: LOCK_TYPE.shared, primary: utf8(""), startTs: 0n, ttl: 0n });
  for (const [hex, sharedBy] of [
    ["48", []],
    ["486800", []],
    ["486901", []],
    [`486801${size(one)}${one}`, [inner]],
    [`4869016801${size(one)}${one}`, [inner]],
    [`486802${size(one)}${one}${size(one)}${one}`, [inner, inner]],
  ] as const) {
    const lock = parseLock(fromHex(hex));
    assert.equal(lock.sharedBy, sharedBy, hex);
    assert.is(lock.type, LOCK_TYPE.shared);
    assert.is(lock.startTs, sharedBy.length === 0 ? nobody.startTs : 9n);
  }
  for (const hex of [
    "4868",
    "4869",
    "486801",
    `486802${size(one)}${one}`,
    "4868010248",
    "486801044868",
  ]) {
    assert.throws(() => parseLock(fromHex(hex)), isCut, hex);
  }
});

test("fields behind an unknown tag are left out, those before it are kept", () => {
  const unknown = fc.tuple(
    fc.constantFrom(..."Tzb0").map((letter) => letter.charCodeAt(0)),
    bytes,
  );
  fc.assert(
    fc.property(anyLock, unknown, (lock, [tag, rest]) => {
      const record = concatBytes(encodeLock(lock), Uint8Array.of(tag), rest);
      assert.equal(parseLock(record), lock);
    }),
  );
});

test("a record that is cut anywhere parses to less or is refused", () => {
  fc.assert(
    fc.property(anyLock, fc.nat(), (lock, at) => {
      const record = encodeLock(lock);
      const part = record.subarray(0, at % record.length);
      try {
        const parsed = parseLock(part);
        assert.is(parsed.startTs, lock.startTs);
      } catch (error) {
        if (!isCut(error)) throw error;
      }
    }),
  );
});

test("any bytes parse or are refused", () => {
  const noise = fc.tuple(fc.constantFrom(0x50, 0x44, 0x4c, 0x53, 0x48, 0x00), fc.uint8Array());
  fc.assert(
    fc.property(noise, ([type, rest]) => {
      try {
        parseLock(concatBytes(Uint8Array.of(type), rest));
      } catch (error) {
        if (!isCut(error)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});

const REFUSED: Readonly<Record<string, string>> = {
  "no bytes": "",
  "an unknown type": "5804706b010a",
  "no start_ts": "5004706b",
  "a primary of negative length": "50016b010a",
  "a primary longer than the record": "50106b010a",
  "a start_ts of 65 bits": "5004706bffffffffffffffffff020a",
  "a varint without end": "5004706bffffffffffffffffffff0a",
  "a short value that is cut": "5004706b010a760561",
  "a for_update_ts that is cut": "5004706b010a6600000000000000",
  "secondaries that are not there": "5004706b010a6103020261",
  "more secondaries than bytes": "5004706b010a61ffffffff0f",
  "more rollbacks than bytes": "5004706b010a7209",
};
for (const [what, hex] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, () => {
    assert.throws(() => parseLock(fromHex(hex)), isCut);
  });
}

test("an old record ends behind start_ts", () => {
  const lock = newLock({ type: LOCK_TYPE.put, primary: utf8("pk"), startTs: 1n, ttl: 0n });
  assert.equal(parseLock(fromHex("5004706b01")), lock);
});

test("async commit without secondaries keeps its flag", () => {
  const lock = { type: LOCK_TYPE.put, primary: utf8("pk"), startTs: 1n, ttl: 2n } as const;
  const record = encodeLock(newLock({ ...lock, useAsyncCommit: true }));
  assert.is(toHex(record), "5004706b01026100");
  assert.ok(parseLock(record).useAsyncCommit);
});

test("1PC is never written", () => {
  const lock = { type: LOCK_TYPE.put, primary: utf8("pk"), startTs: 1n, ttl: 2n } as const;
  assert.not(parseLock(encodeLock(newLock({ ...lock, useOnePc: true }))).useOnePc);
});

test("a long value is not put into a record", () => {
  const shortValue = new Uint8Array(256);
  const lock = newLock({
    type: LOCK_TYPE.put,
    primary: utf8("k"),
    startTs: 1n,
    ttl: 2n,
    shortValue,
  });
  assert.throws(() => encodeLock(lock), /short/);
});

test.run();
