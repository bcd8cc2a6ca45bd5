/**
 * Every bench runs in smoke mode, and the harness refuses to compare different results.
 * @timeout 300
 * @seconds 90
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  hashOf,
  measureSync,
  type Report,
  type SyncCase,
  tableOf,
  tablesOf,
} from "../../bench/harness.js";

const MAIN = fileURLToPath(new URL("../../bench/main.js", import.meta.url));
const KERNEL_BENCHES = [
  "crc64 pairs",
  "key append ts",
  "key split ts",
  "memcomparable encode",
  "memcomparable decode",
  "write batch build",
];
const SERVER_ROWS = [
  "RawGet",
  "RawGet / multi-get",
  "RawGet 1M compacted",
  "RawGet 1M compacted / multi-get",
  "RawPut 64 in flight",
  "RawPut 512 in flight",
  "RawScan",
  "cold RawGet",
  "cold RawScan",
  "KvGet, 128 a message / RawGet",
  "KvBatchGet, 128 keys / RawGet",
  "KvScan, 1000 rows / RawScan",
  "1PC put, 64 in flight / RawPut",
  "2-key transfer, two regions",
  "2 counters, zipf 0.99",
  "idle CPU",
  "idle RSS",
];

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
}

test("all benches run and print figures with hashes", () => {
  const { status, stdout, stderr } = bench("--smoke");
  assert.is(status, 0, stderr);
  const reports = stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Report & { area: string; mode: string });
  assert.match(stdout, new RegExp(`\\n${reports.length} figures\\n$`));
  assert.match(stdout, /^machine: .*Node \d+/);
  for (const report of reports) {
    assert.is(report.mode, "smoke", report.name);
    assert.ok(report.median >= 0 && report.p99 >= 0 && report.samples > 0, report.name);
    assert.ok(report.hash.length > 0, `${report.name} has a hash`);
  }
  for (const name of KERNEL_BENCHES) {
    const rows = reports.filter((report) => report.area === "kernel" && report.name === name);
    assert.is(rows.length, 4 * 3 * 3, `${name}: sizes, copies, series`);
  }
  const names = new Set(reports.filter(({ area }) => area === "server").map(({ name }) => name));
  for (const name of SERVER_ROWS) assert.ok(names.has(name), name);
});

test("a wrong flag or area is refused with a usage line", () => {
  for (const arg of ["--fast", "no_such_area"]) {
    const { status, stderr } = bench(arg);
    assert.is(status, 2, arg);
    assert.match(stderr, /^usage: /, arg);
  }
});

function caseOf(series: string, result: string): SyncCase {
  return {
    name: "x",
    params: { items: 2 },
    series,
    items: 2,
    call: () => {},
    result: () => Buffer.from(result),
  };
}

test("series that compute different results are not compared", () => {
  const same = [caseOf("js", "1"), caseOf("wasm", "1")];
  const reports = measureSync({ mode: "smoke" }, same);
  assert.equal(
    reports.map(({ series, hash }) => [series, hash]),
    [
      ["js", hashOf(Buffer.from("1"))],
      ["wasm", hashOf(Buffer.from("1"))],
    ],
  );
  const different = [caseOf("js", "1"), caseOf("wasm", "2")];
  assert.throws(() => measureSync({ mode: "smoke" }, different), /wasm computed another result/);
});

test("rows with other series stand in another table", () => {
  const report = (name: string, series: string): Report => ({
    name,
    params: {},
    series,
    unit: "ops/s",
    better: "higher",
    median: 1,
    p99: 1,
    samples: 1,
    hash: "-",
  });
  const both = [report("x", "a"), report("y", "b"), report("z", "a")];
  const [first, second, ...rest] = tablesOf(both).split("\n\n");
  assert.is(rest.length, 0);
  assert.is(first, tableOf([report("x", "a"), report("z", "a")]));
  assert.is(second, tableOf([report("y", "b")]));
});

test("the table has a row per case, a column per series, ratios to the first", () => {
  const report = (series: string, median: number): Report => ({
    name: "x",
    params: { items: 1 },
    series,
    unit: "ns/item",
    better: "lower",
    median,
    p99: median * 2,
    samples: 3,
    hash: "abc",
  });
  const [head, row, ...rest] = tableOf([report("js", 90), report("wasm", 30)]).split("\n");
  assert.match(head as string, /bench +items +unit +js +wasm +wasm\/js +p99 js +p99 wasm +result/);
  assert.match(row as string, /x +1 +ns\/item +90\.0 +30\.0 +3\.00x +180 +60\.0 +abc/);
  assert.is(rest.length, 0);
});

test.run();
