/** Keys of Raft, splits and transport: TiKV's defaults, those that follow other keys, relations. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  defaultsOf,
  formatProblem,
  loadConfig,
  printConfig,
  TIKV_FIELDS,
  type TikvConfig,
} from "../../../src/config/index.js";
import { tmpDir } from "../../support/tmp.js";

const test = suite("config of raftstore");

const MIB = 2 ** 20;

function fileOf(text: string): string {
  const file = join(tmpDir("config"), "f.toml");
  writeFileSync(file, text);
  return file;
}

function load(text: string): TikvConfig {
  const loaded = loadConfig("store", fileOf(text), []);
  assert.ok(loaded.ok, loaded.ok ? "" : loaded.problems.map(formatProblem).join("\n"));
  return (loaded as { config: { values: TikvConfig } }).config.values;
}

function problemsOf(text: string): string[] {
  const file = fileOf(text);
  const loaded = loadConfig("store", file, []);
  return loaded.ok ? [] : loaded.problems.map((one) => formatProblem(one).replace(file, "f.toml"));
}

/** What TiKV v8.5 does with an empty file. */
const TIKV_DEFAULTS: Partial<TikvConfig> = {
  "raftstore.raft-base-tick-interval": 1000,
  "raftstore.raft-heartbeat-ticks": 2,
  "raftstore.raft-election-timeout-ticks": 10,
  "raftstore.raft-store-max-leader-lease": 9000,
  "raftstore.raft-log-gc-count-limit": 196_608,
  "raftstore.raft-log-gc-size-limit": 192 * MIB,
  "raftstore.region-split-check-diff": 16 * MIB,
  "coprocessor.region-split-size": 256 * MIB,
  "coprocessor.region-max-size": 384 * MIB,
  "coprocessor.region-split-keys": 2_560_000,
  "coprocessor.region-max-keys": 3_840_000,
  "server.raft-client-queue-size": 16_384,
  "server.snap-io-max-bytes-per-sec": 100 * MIB,
};

function assertHas(config: TikvConfig, expected: Partial<TikvConfig>): void {
  for (const [key, value] of Object.entries(expected)) {
    assert.is(config[key as keyof TikvConfig], value, key);
  }
}

test("an empty file gives TiKV's defaults, and so does the printed one", () => {
  assertHas(load(""), TIKV_DEFAULTS);
  assertHas(load(printConfig(TIKV_FIELDS, defaultsOf(TIKV_FIELDS))), TIKV_DEFAULTS);
});

test("the lease follows the tick and the election timeout", () => {
  assertHas(load('raftstore.raft-base-tick-interval = "100ms"\n'), {
    "raftstore.raft-store-max-leader-lease": 900,
  });
  assertHas(load("raftstore.raft-election-timeout-ticks = 40\n"), {
    "raftstore.raft-store-max-leader-lease": 9000,
  });
  assertHas(load('raftstore.raft-store-max-leader-lease = "2s"\n'), {
    "raftstore.raft-store-max-leader-lease": 2000,
  });
});

test("limits of a Region follow its split size; what is given stays", () => {
  assertHas(load('coprocessor.region-split-size = "1MiB"\n'), {
    "raftstore.raft-log-gc-count-limit": 768,
    "raftstore.raft-log-gc-size-limit": (3 * MIB) / 4,
    "raftstore.region-split-check-diff": MIB / 16,
    "coprocessor.region-max-size": 1.5 * MIB,
    "coprocessor.region-split-keys": 10_000,
    "coprocessor.region-max-keys": 15_000,
  });
  assertHas(load("coprocessor.region-split-keys = 10\nraftstore.raft-log-gc-count-limit = 7\n"), {
    "raftstore.raft-log-gc-count-limit": 7,
    "coprocessor.region-max-keys": 15,
    "coprocessor.region-max-size": 384 * MIB,
  });
});

/** What is wrong, the lines of the file, the problems. */
const BAD: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  [
    "a lease as long as the election timeout",
    ['raftstore.raft-base-tick-interval = "100ms"', 'raftstore.raft-store-max-leader-lease = "1s"'],
    [
      "f.toml:2: raftstore.raft-store-max-leader-lease: given 1s, expected at most 900ms: " +
        "raftstore.raft-election-timeout-ticks less one, times raftstore.raft-base-tick-interval",
    ],
  ],
  [
    "heartbeats as rare as elections",
    ["raftstore.raft-heartbeat-ticks = 10"],
    [
      "default: raftstore.raft-election-timeout-ticks: given 10, expected more than " +
        "raftstore.raft-heartbeat-ticks, which is 10",
    ],
  ],
  [
    "all that is wrong at once",
    [
      "raftstore.raft-heartbeat-ticks = 11",
      'raftstore.raft-store-max-leader-lease = "10s"',
      "coprocessor.region-max-keys = 1",
    ],
    [
      "default: raftstore.raft-election-timeout-ticks: given 10, expected more than " +
        "raftstore.raft-heartbeat-ticks, which is 11",
      "f.toml:2: raftstore.raft-store-max-leader-lease: given 10s, expected at most 9s: " +
        "raftstore.raft-election-timeout-ticks less one, times raftstore.raft-base-tick-interval",
      "default: coprocessor.region-split-keys: given 2560000, expected at most " +
        "coprocessor.region-max-keys, which is 1",
    ],
  ],
  [
    "a Region that is too large before it can be split",
    ['coprocessor.region-split-size = "2MiB"', 'coprocessor.region-max-size = "1MiB"'],
    [
      "f.toml:1: coprocessor.region-split-size: given 2MiB, expected at most " +
        "coprocessor.region-max-size, which is 1MiB",
    ],
  ],
  [
    "stale checks and missing leaders out of order",
    [
      'raftstore.peer-stale-state-check-interval = "10s"',
      'raftstore.abnormal-leader-missing-duration = "5s"',
      'raftstore.max-leader-missing-duration = "4s"',
    ],
    [
      "f.toml:1: raftstore.peer-stale-state-check-interval: given 10s, expected at least twice " +
        "the election timeout, 20s",
      "f.toml:1: raftstore.peer-stale-state-check-interval: given 10s, expected at most " +
        "raftstore.abnormal-leader-missing-duration, which is 5s",
      "f.toml:2: raftstore.abnormal-leader-missing-duration: given 5s, expected at most " +
        "raftstore.max-leader-missing-duration, which is 4s",
    ],
  ],
];

for (const [name, lines, expected] of BAD) {
  test(name, () => {
    assert.equal(problemsOf(lines.join("\n")), expected);
  });
}

test.run();
