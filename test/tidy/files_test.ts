/** Names, dead files, kernel quintets, leftovers, test files that run; sizes are printed. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { codeOf, filesBelow, importsOf, ROOT, textOf } from "./sources.js";

const SOURCES = ["src", "test", "bench", "assembly"].flatMap((folder) => filesBelow(folder, ".ts"));
const ENTRY_POINTS = ["src/cli/main.ts", "src/client/index.ts", "src/testing/index.ts"];
/** Reached by tests alone, on purpose: an engine wrapper that injects faults. */
const TEST_ONLY = new Set(["src/engine/fault.ts"]);
/**
 * Reached when raftstore drives it: the parts were built and tested before the store that runs
 * on it. Delete a line when its folder is imported.
 */
const NOT_YET_DRIVEN: readonly string[] = [];
const KERNEL_HELPERS = new Set(["abi", "arena"]);
const LEFTOVER = /\b(TODO(?!\(#\d)|FIXME|XXX)\b/;
const COLUMNS_MAX = 120;

test("file names are snake_case", () => {
  const wrong = SOURCES.filter((path) => !/^[a-z0-9_]+(\.simd)?\.ts$/.test(basename(path)));
  assert.is(wrong.join("\n"), "");
});

test("every source file is reachable from an entry point", () => {
  const seen = new Set<string>();
  const queue = [...ENTRY_POINTS];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path) || !existsSync(join(ROOT, path))) continue;
    seen.add(path);
    if (!path.endsWith(".ts")) continue;
    for (const edge of importsOf(path)) if (edge.target !== undefined) queue.push(edge.target);
  }
  const isExempt = (path: string): boolean =>
    TEST_ONLY.has(path) || NOT_YET_DRIVEN.some((prefix) => path.startsWith(prefix));
  const dead = filesBelow("src", ".ts").filter((path) => !seen.has(path) && !isExempt(path));
  assert.is(dead.join("\n"), "");
  const driven = NOT_YET_DRIVEN.filter((prefix) =>
    [...seen].some((path) => path.startsWith(prefix)),
  );
  assert.is(driven.join("\n"), "", "the exemption of a folder in use is deleted");
});

test("every kernel has its façade, twin, differential test and bench", () => {
  const kernels = [...textOf("assembly/index.ts").matchAll(/from "\.\/(\w+)"/g)]
    .map((match) => match[1] as string)
    .filter((name) => !KERNEL_HELPERS.has(name));
  assert.ok(kernels.length >= 4, "the scan found no kernel");
  const missing = kernels.flatMap((name) =>
    [
      `src/kernel/${name}.ts`,
      `src/kernel/js/${name}.ts`,
      `test/diff/${name}_test.ts`,
      `bench/kernel/${name}.ts`,
    ].filter((path) => !existsSync(join(ROOT, path))),
  );
  assert.is(missing.join("\n"), "");
});

test("every test file runs its tests", () => {
  const idle = filesBelow("test", "_test.ts").filter(
    (path) => !/\.run\(\);?\s*$/.test(textOf(path)),
  );
  assert.is(idle.join("\n"), "");
});

test("no leftovers and no endless lines", () => {
  const problems: string[] = [];
  for (const path of SOURCES.filter((source) => !source.startsWith("test/tidy/"))) {
    textOf(path)
      .split("\n")
      .forEach((line, index) => {
        const at = `${path}:${index + 1}`;
        if (LEFTOVER.test(line)) problems.push(`${at}: ${line.trim()}`);
        if (line.length > COLUMNS_MAX) problems.push(`${at}: ${line.length} columns`);
      });
  }
  assert.is(problems.join("\n"), "");
});

test("console is for the command line, benches and tests", () => {
  const loud = filesBelow("src", ".ts").filter(
    (path) => !path.startsWith("src/cli/") && /\bconsole\./.test(codeOf(path)),
  );
  assert.is(loud.join("\n"), "");
});

test("sizes", () => {
  const lines = filesBelow("src", ".ts")
    .map((path) => ({ path, count: textOf(path).split("\n").length }))
    .sort((a, b) => b.count - a.count);
  const at = (share: number): number => lines[Math.floor(lines.length * (1 - share))]?.count ?? 0;
  console.log(
    `src: ${lines.length} files, median ${at(0.5)} lines, p90 ${at(0.9)} lines; largest:`,
  );
  for (const { path, count } of lines.slice(0, 10)) console.log(`  ${count} ${path}`);
  assert.ok(lines.length > 0);
});

test.run();
