/** The table of bad inputs: each row names a test that exists, or a known limit that is written. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT, textOf } from "./sources.js";

const TABLE = "test/compat/bad_input.tsv";
const COLUMNS = ["section", "input", "expected", "file", "test"];
const SECTIONS = ["1 wire", "2 protobuf", "3 lies", "4 semantics", "5 host", "5 config"];

const [head = "", ...lines] = textOf(TABLE).trimEnd().split("\n");
const rows = lines.map((line) => line.split("\t"));

test("the table has its columns, and no row twice", () => {
  assert.equal(head.split("\t"), COLUMNS);
  for (const row of rows) {
    assert.is(row.length, COLUMNS.length, row.join(" | "));
    assert.ok(
      row.every((cell) => cell !== ""),
      row.join(" | "),
    );
    assert.ok(SECTIONS.includes(row[0] as string), row.join(" | "));
  }
  const inputs = rows.map(([section, input]) => `${section} ${input}`);
  assert.is(new Set(inputs).size, inputs.length);
});

test("each row names a test of a file, or a page that tells of the limit", () => {
  const problems: string[] = [];
  const texts = new Map<string, string>();
  for (const [section, input, , file, name] of rows as string[][]) {
    const path = file as string;
    if (!texts.has(path)) texts.set(path, existsSync(join(ROOT, path)) ? textOf(path) : "");
    const text = texts.get(path) as string;
    const isTest = path.endsWith("_test.ts") && /\btest\(/.test(text);
    const isPage = path.endsWith("README.md");
    const quoted = isPage
      ? text.includes(name as string)
      : ['"', "`", "'"].some((quote) => text.includes(`${quote}${name}${quote}`));
    if (!(isTest || isPage) || !quoted) problems.push(`${section}: ${input}: ${file}: ${name}`);
  }
  assert.is(problems.join("\n"), "");
});

test.run();
