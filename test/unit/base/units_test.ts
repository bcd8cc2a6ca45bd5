/** Durations, sizes and the nearest name: text forms, round trips, what is refused. */
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  editDistance,
  formatDuration,
  formatSize,
  nearestName,
  parseDuration,
  parseSize,
} from "../../../src/base/index.js";

const test = suite("units");

const DURATIONS: readonly (readonly [string, number])[] = [
  ["0", 0],
  ["0s", 0],
  ["1s", 1000],
  ["100ms", 100],
  ["1h30m", 5_400_000],
  ["1d2h3m4s5ms6us", 93_784_005.006],
  ["2.5s", 2500],
  ["7d", 604_800_000],
  ["250us", 0.25],
];

for (const [text, ms] of DURATIONS) {
  test(`duration ${text} is ${ms} ms`, () => {
    assert.is(parseDuration(text), ms);
    assert.is(parseDuration(formatDuration(ms)), ms);
  });
}

const BAD_DURATIONS = [
  "",
  "1",
  "s",
  "1x",
  "-1s",
  "1s1h",
  "1s 2",
  "1ss",
  "1e3s",
  "99999999999999999d",
];

for (const text of BAD_DURATIONS) {
  test(`"${text}" is no duration`, () => {
    assert.is(parseDuration(text), undefined);
  });
}

const SIZES: readonly (readonly [string, number])[] = [
  ["0", 0],
  ["0B", 0],
  ["1KB", 1024],
  ["1KiB", 1024],
  ["1k", 1024],
  ["8MiB", 8 * 2 ** 20],
  ["8M", 8 * 2 ** 20],
  ["1.5GiB", 1.5 * 2 ** 30],
  ["32G", 32 * 2 ** 30],
  ["1TB", 2 ** 40],
  ["1PiB", 2 ** 50],
  ["10 MB", 10 * 2 ** 20],
  ["123", 123],
];

for (const [text, bytes] of SIZES) {
  test(`size ${text} is ${bytes} bytes`, () => {
    assert.is(parseSize(text), bytes);
    assert.is(parseSize(formatSize(bytes)), bytes);
  });
}

for (const text of ["", "1GBB", "MB", "-1MB", "1XB", "1iB", "0.3B", "1 2MB", "9999999PB", "0x10"]) {
  test(`"${text}" is no size`, () => {
    assert.is(parseSize(text), undefined);
  });
}

test("every duration and size of whole units survives a round trip", () => {
  const whole = fc.integer({ min: 0, max: 2 ** 42 });
  fc.assert(fc.property(whole, (ms) => parseDuration(formatDuration(ms)) === ms));
  fc.assert(fc.property(whole, (bytes) => parseSize(formatSize(bytes)) === bytes));
});

test("edit distance counts a swap of neighbours as one", () => {
  assert.is(editDistance("threshold", "treshold"), 1);
  assert.is(editDistance("addr", "adrd"), 1);
  assert.is(editDistance("", "abc"), 3);
  assert.is(editDistance("same", "same"), 0);
});

test("the nearest name is found, a far one is not", () => {
  assert.is(nearestName("server.adr", ["server.addr", "server.labels"]), "server.addr");
  assert.is(nearestName("SERVER.STATUS_ADDR", ["server.status-addr"]), "server.status-addr");
  assert.is(nearestName("zzzzzz", ["server.addr"]), undefined);
});

test.run();
