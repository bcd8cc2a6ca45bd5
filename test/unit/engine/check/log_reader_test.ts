/** The log format: whole logs, cut ones, damaged ones, at every offset that matters. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crc32c, maskedCrc } from "../../../../src/engine/check/crc32c.js";
import { readLog } from "../../../../src/engine/check/log_reader.js";
import { logOf } from "../../../support/log_writer.js";

const BLOCK = 32 * 1024;

function payload(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 7 + seed * 31 + (i >> 8);
  return bytes;
}

test("crc32c has the published values, in one piece and in two", () => {
  const digits = Buffer.from("123456789");
  assert.is(crc32c(digits, 0, 9), 0xe3069283);
  assert.is(crc32c(Buffer.alloc(32), 0, 32), 0x8a9136aa);
  assert.is(crc32c(Buffer.alloc(32, 0xff), 0, 32), 0x62a8ab43);
  assert.is(maskedCrc(0), 0xa282ead8);
  const bytes = payload(1000, 3);
  for (let cut = 0; cut <= 40; cut++) {
    const two = crc32c(bytes, cut, 1000, crc32c(bytes, 0, cut));
    assert.is(two, crc32c(bytes, 0, 1000), `cut at ${cut}`);
  }
});

test("records of every length around a block's end are read back", () => {
  for (let length = BLOCK - 30; length <= BLOCK + 10; length++) {
    const records = [payload(length, 1), payload(0, 2), payload(3 * BLOCK, 3), payload(9, 4)];
    const { records: found, badAt } = readLog(logOf(records));
    assert.is(badAt, undefined, `${length}`);
    assert.equal(
      found.map((record) => Buffer.compare(record.payload, records.shift() as Buffer)),
      [0, 0, 0, 0],
    );
  }
});

test("a cut at any offset leaves a prefix and is no damage", () => {
  const log = logOf([payload(100, 1), payload(40, 2), payload(60, 3)]);
  for (let size = 0; size <= log.length; size++) {
    const { records, badAt, goodBehind } = readLog(log.subarray(0, size));
    assert.is(records.length, size < 107 ? 0 : size < 154 ? 1 : size < 221 ? 2 : 3, `${size}`);
    assert.is(badAt === undefined, [0, 107, 154, 221].includes(size), `${size}`);
    assert.not.ok(goodBehind, `${size}`);
  }
});

test("a flip of any byte but those of the last record is damage in the middle", () => {
  const log = logOf([payload(100, 1), payload(BLOCK + 50, 2), payload(60, 3)]);
  const lastStart = log.length - 67;
  for (let at = 0; at < log.length; at += at < 300 || at > lastStart - 300 ? 1 : 997) {
    const damaged = Buffer.from(log);
    damaged[at] = (damaged[at] as number) ^ 0x11;
    const { records, badAt, goodBehind } = readLog(damaged);
    assert.is.not(badAt, undefined, `${at}`);
    assert.is(goodBehind, at < lastStart, `${at}`);
    assert.is(records.length, at < 107 ? 0 : at < lastStart ? 1 : 2, `${at}`);
  }
});

test("a last record that is damaged in one of its blocks is a torn end", () => {
  const log = logOf([payload(100, 1), payload(4 * BLOCK, 2)]);
  for (const at of [110, 500, BLOCK + 3, 2 * BLOCK + 900, log.length - 1]) {
    const damaged = Buffer.from(log);
    damaged[at] = (damaged[at] as number) ^ 0x11;
    const { records, badAt, goodBehind } = readLog(damaged);
    assert.equal([records.length, badAt, goodBehind], [1, 107, false], `${at}`);
  }
});

test("zeros are a torn end at the end, damage in the middle", () => {
  const log = logOf(Array.from({ length: 30 }, (_, i) => payload(5000, i)));
  const tail = readLog(Buffer.concat([log, Buffer.alloc(BLOCK)]));
  assert.equal([tail.records.length, tail.goodBehind], [30, false]);
  for (const from of [4096, BLOCK, BLOCK + 512, 2 * BLOCK]) {
    const damaged = Buffer.from(log);
    damaged.fill(0, from, from + 4096);
    assert.ok(readLog(damaged).goodBehind, `${from}`);
  }
});

test.run();
