/** The logger: TiKV's text format, JSON, levels, rate limit, files that are renamed when full. */
import { readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Clock } from "../../../src/base/index.js";
import type { LogOptions } from "../../../src/config/index.js";
import { createLogger, LINES_PER_SECOND_MAX } from "../../../src/node/logger.js";
import { tmpDir } from "../../support/tmp.js";

const test = suite("logger");
const NOW_MS = Date.UTC(2026, 0, 31, 23, 59, 59, 123);

function fixture(options: Partial<LogOptions> = {}) {
  const dir = tmpDir("log");
  const file = join(dir, "rutile.log");
  const time = { ms: NOW_MS };
  const clock: Clock = { nowMs: () => time.ms, monotonicMs: () => time.ms };
  const all: LogOptions = {
    level: "info",
    format: "text",
    timestamps: true,
    filename: file,
    maxSizeBytes: 1 << 20,
    maxDays: 0,
    maxBackups: 0,
    ...options,
  };
  const logger = createLogger(all, clock);
  const lines = (): string[] => readFileSync(file, "utf8").split("\n").slice(0, -1);
  return { dir, file, time, logger, lines };
}

test("text lines have TiKV's shape", () => {
  const { logger, lines } = fixture();
  logger.info("region split", { region_id: 2n, key: Uint8Array.of(0x7a, 1), text: 'a "b"' });
  const cause = new Error("disk is gone");
  logger.child({ component: "pd" }).error("save failed", {}, new Error("no save", { cause }));
  assert.equal(lines(), [
    '[2026/01/31 23:59:59.123 +00:00] [INFO] [rutile] ["region split"] [region_id=2] [key=7A01] [text="a \\"b\\""]',
    '[2026/01/31 23:59:59.123 +00:00] [ERROR] [pd] ["save failed"] [error="no save: disk is gone"]',
  ]);
});

test("u64 fields are exact in both formats", () => {
  for (const format of ["text", "json"] as const) {
    const { logger, lines } = fixture({ format });
    logger.warn("big", { id: 0xffff_ffff_ffff_ffffn });
    assert.match(lines()[0] as string, /18446744073709551615/);
  }
});

test("JSON lines parse, the level is upper case", () => {
  const { logger, lines } = fixture({ format: "json" });
  logger.warn("slow", { ms: 3 });
  assert.equal(JSON.parse(lines()[0] as string), {
    level: "WARN",
    time: "2026/01/31 23:59:59.123 +00:00",
    ms: 3,
    message: "slow",
  });
});

test("levels below the chosen one are not written; it can be changed", () => {
  const { logger, lines } = fixture({ level: "warn" });
  const child = logger.child({ component: "x" });
  logger.info("no");
  child.info("no");
  logger.setLevel("info");
  logger.info("yes");
  assert.is(lines().length, 1);
});

test("one message is limited per second, and what was left out is counted", () => {
  const { logger, lines, time } = fixture({ timestamps: false });
  for (let i = 0; i < LINES_PER_SECOND_MAX + 50; i++) logger.warn("flood");
  logger.warn("another");
  time.ms += 1000;
  logger.warn("flood");
  const found = lines();
  assert.is(found.length, LINES_PER_SECOND_MAX + 2);
  assert.is(found.at(-2), "[WARN] [rutile] [another]");
  assert.is(found.at(-1), "[WARN] [rutile] [flood] [lines_suppressed=50]");
});

test("a full file is renamed, old ones beyond max-backups go, no line is lost before", () => {
  const { dir, logger, time } = fixture({ maxSizeBytes: 2000, maxBackups: 2 });
  for (let i = 0; i < 100; i++) {
    time.ms += 1000;
    logger.info(`line ${i}`);
  }
  const names = readdirSync(dir).sort();
  assert.is(names.length, 3, names.join());
  assert.ok(names.includes("rutile.log"));
  const kept = names.map((name) => readFileSync(join(dir, name), "utf8")).join("");
  assert.match(kept, /line 99/);
  for (const name of names) {
    assert.ok(readFileSync(join(dir, name)).length <= 2000, `${name} is not larger than allowed`);
  }
});

test("reopen begins a new file after another program renamed it", () => {
  const { file, logger, lines } = fixture();
  logger.info("before");
  renameSync(file, `${file}.1`);
  logger.reopen();
  logger.info("after");
  assert.is(lines().length, 1);
  assert.match(readFileSync(`${file}.1`, "utf8"), /before/);
});

test("a log file that cannot be opened is one clear error", () => {
  assert.throws(() => fixture({ filename: "/proc/nowhere/x.log" }), /cannot open the log file/);
});

test.run();
