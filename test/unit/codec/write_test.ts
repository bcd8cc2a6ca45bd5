/** Write records: round trips of every field, what is tolerated, what is refused. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, fromHex, TikvError, toHex, utf8 } from "../../../src/base/index.js";
import {
  encodeWrite,
  isProtectedRollback,
  newRollback,
  newWrite,
  parseWrite,
  WRITE_TYPE,
  type Write,
  type WriteType,
} from "../../../src/codec/index.js";

const U64_MAX = 2n ** 64n - 1n;
const u64 = fc.oneof(
  fc.bigInt({ min: 0n, max: U64_MAX }),
  fc.nat({ max: 64 }).map((bits) => (1n << BigInt(bits)) - 1n),
  fc.nat({ max: 63 }).map((bits) => 1n << BigInt(bits)),
);
const optionalU64 = fc.oneof(fc.constant(0n), u64);

const anyWrite: fc.Arbitrary<Write> = fc
  .record({
    type: fc.constantFrom(...(Object.values(WRITE_TYPE) as WriteType[])),
    startTs: u64,
    shortValue: fc.option(fc.uint8Array({ maxLength: 255 }), { nil: undefined }),
    hasOverlappedRollback: fc.boolean(),
    gcFence: fc.option(u64, { nil: undefined }),
    lastChange: fc
      .record({ ts: optionalU64, versions: optionalU64 })
      .map(({ ts, versions }) => ({ ts, versions })),
    txnSource: optionalU64,
  })
  .map((fields) => newWrite(fields));

function isCut(error: unknown): boolean {
  return error instanceof TikvError && error.code === "KV:Codec:Io";
}

test("every field comes back", () => {
  fc.assert(
    fc.property(anyWrite, (write) => assert.equal(parseWrite(encodeWrite(write)), write)),
    {
      numRuns: 1000,
    },
  );
});

test("fields behind an unknown tag are left out, those before it are kept", () => {
  const unknown = fc.tuple(fc.constantFrom(0x7a, 0x00, 0x73), fc.uint8Array({ maxLength: 20 }));
  fc.assert(
    fc.property(anyWrite, unknown, (write, [tag, rest]) => {
      const record = concatBytes(encodeWrite(write), Uint8Array.of(tag), rest);
      assert.equal(parseWrite(record), write);
    }),
  );
});

test("a record that is cut anywhere parses to less or is refused", () => {
  fc.assert(
    fc.property(anyWrite, fc.nat(), (write, at) => {
      const record = encodeWrite(write);
      try {
        const parsed = parseWrite(record.subarray(0, at % record.length));
        assert.is(parsed.startTs, write.startTs);
      } catch (error) {
        if (!isCut(error)) throw error;
      }
    }),
  );
});

test("any bytes parse or are refused", () => {
  const noise = fc.tuple(fc.constantFrom(0x50, 0x44, 0x4c, 0x52, 0x00), fc.uint8Array());
  fc.assert(
    fc.property(noise, ([type, rest]) => {
      try {
        parseWrite(concatBytes(Uint8Array.of(type), rest));
      } catch (error) {
        if (!isCut(error)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});

const REFUSED: Readonly<Record<string, string>> = {
  "no bytes": "",
  "an unknown type": "5301",
  "no start_ts": "50",
  "a start_ts of 65 bits": "50ffffffffffffffffff02",
  "a short value that is cut": "5001760561",
  "a fence that is cut": "500146000000000000",
  "a last_change that is cut": "4c016c0000000000000001",
};
for (const [what, hex] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, () => {
    assert.throws(() => parseWrite(fromHex(hex)), isCut);
  });
}

test("fields have one order", () => {
  const write = newWrite({
    type: WRITE_TYPE.lock,
    startTs: 1n,
    shortValue: utf8("v"),
    hasOverlappedRollback: true,
    gcFence: 2n,
    lastChange: { ts: 3n, versions: 4n },
    txnSource: 5n,
  });
  const fields = ["4c01", "760176", "52", "460000000000000002", "6c000000000000000304", "5305"];
  assert.is(toHex(encodeWrite(write)), fields.join(""));
});

test("an empty value is a value, and a fence of zero is a fence", () => {
  const fields = { type: WRITE_TYPE.put, startTs: 1n, shortValue: new Uint8Array(), gcFence: 0n };
  const parsed = parseWrite(encodeWrite(newWrite(fields)));
  assert.is(parsed.shortValue?.length, 0);
  assert.is(parsed.gcFence, 0n);
});

test("only a rollback with the mark is protected", () => {
  assert.ok(isProtectedRollback(parseWrite(encodeWrite(newRollback(9n, true)))));
  assert.not(isProtectedRollback(newRollback(9n, false)));
  const put = newWrite({ type: WRITE_TYPE.put, startTs: 9n, shortValue: utf8("p") });
  assert.not(isProtectedRollback(put));
});

test.run();
