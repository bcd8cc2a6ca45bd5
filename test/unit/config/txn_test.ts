/**
 * Keys of transactions: each is in the table of src/config/README.md as the schema has it, refuses
 * what it cannot be with its name and what it may be, and has an effect.
 */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  defaultsOf,
  formatProblem,
  PD_FIELDS,
  parseToml,
  TIKV_FIELDS,
  type TikvConfig,
  validate,
} from "../../../src/config/index.js";
import type { Field, Fields, TomlValue } from "../../../src/config/schema.js";
import { storageOptions } from "../../../src/node/tikv_options.js";

const README = new URL("../../../../../src/config/README.md", import.meta.url);
const PREFIXES = [
  "slow-log-threshold",
  "storage.memory-quota",
  "storage.enable-async-apply-prewrite",
  "storage.txn-status-cache-capacity",
  "storage.scheduler-pending-write-threshold",
  "storage.max-ts.",
  "storage.flow-control.",
  "pessimistic-txn.",
  "resolved-ts.",
  "gc.",
];

function ofTxns(fields: Fields): [string, Field<unknown>][] {
  return Object.entries(fields).filter(([key]) =>
    PREFIXES.some((prefix) => key.startsWith(prefix)),
  );
}

const STORE = ofTxns(TIKV_FIELDS);
const PD = ofTxns(PD_FIELDS);

test("the table in the README has every key, with its default and its own words", () => {
  const text = readFileSync(README, "utf8");
  for (const [role, fields] of [
    ["store", STORE],
    ["PD", PD],
  ] as const) {
    for (const [key, { defaultValue, doc, format }] of fields) {
      const shown = format(defaultValue).replaceAll('"', "");
      const row = `| \`${key}\` | ${role} | ${shown} | ${doc} |`;
      assert.ok(text.split("\n").includes(row), `README lacks or has another: ${row}`);
    }
  }
  const rows = text.split("\n").filter((line) => /^\| `\S+` \| (store|PD) \|/.test(line));
  assert.is(rows.length, STORE.length + PD.length, "a row for a key that is none");
});

/** Problems of one key in a file, as people see them. */
function problemsOf(fields: Fields, key: string, value: string): string[] {
  const read = parseToml(`${key} = ${value}\n`, "f.toml");
  assert.ok(read.ok, `${key} = ${value}`);
  return validate(fields, { document: read.document }, []).problems.map(formatProblem);
}

test("a wrong value is one line: where, which key, what was given, what may be", () => {
  for (const [fields, some] of [
    [TIKV_FIELDS, STORE],
    [PD_FIELDS, PD],
  ] as const) {
    for (const [key] of some) {
      for (const value of ['"soon"', "[1]", "-1", '"99999999999999999999d"']) {
        const lines = problemsOf(fields, key, value);
        assert.is(lines.length, 1, `${key} = ${value}: ${lines.join("; ")}`);
        const [line = ""] = lines;
        assert.ok(line.startsWith(`f.toml:1: ${key}: given `), line);
        assert.match(line, /, expected ./);
      }
    }
  }
});

/** Another legal value than the default. */
function other({ defaultValue, parse }: Field<unknown>): unknown {
  if (typeof defaultValue === "boolean") return !defaultValue;
  const tries: TomlValue[] = [BigInt(Number(defaultValue) + 1), "17s", "17MiB"];
  for (const one of tries) {
    const parsed = parse(one);
    if (parsed.ok) return parsed.value;
  }
  throw new Error("no other value");
}

test("what a store accepts has an effect: each key changes the options of storage", () => {
  const defaults = defaultsOf(TIKV_FIELDS);
  const before = JSON.stringify(storageOptions(defaults));
  for (const [key, field] of STORE) {
    const config = { ...defaults, [key]: other(field) } as TikvConfig;
    assert.is.not(JSON.stringify(storageOptions(config)), before, key);
  }
});

test("flow control's soft limit is not above the hard one", async () => {
  const { checkTikv } = await import("../../../src/config/index.js");
  const text = 'storage.flow-control.soft-pending-compaction-bytes-limit = "2TiB"\n';
  const read = parseToml(text, "f.toml");
  assert.ok(read.ok);
  const checked = validate(TIKV_FIELDS, { document: read.document }, []);
  assert.equal(checkTikv(checked).map(formatProblem), [
    "f.toml:1: storage.flow-control.soft-pending-compaction-bytes-limit: must not be greater than " +
      "the hard-pending-compaction-bytes-limit beside it",
  ]);
});

test.run();
