/**
 * Reads a configuration file: bytes → values with the line of each key. Everything that is wrong
 * with the file itself (unreadable, too large, not UTF-8, not TOML, a key twice) is reported here;
 * what the values mean is validate.ts's business. Not a hot path.
 */
import { readFileSync, statSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import { errorMessage } from "../base/index.js";
import { findKeyLines } from "./lines.js";
import { isTable, type TomlValue } from "./schema.js";

/** A configuration file larger than this is a mistake (a log, a database), not a configuration. */
export const CONFIG_FILE_BYTES_MAX = 1024 * 1024;

/** One thing that is wrong, or worth a warning. */
export interface Problem {
  /** Where: "rutile.toml:12", "rutile.toml" or "--addr". */
  readonly where: string;
  /** What, in one line. */
  readonly text: string;
}

export interface TomlDocument {
  readonly file: string;
  readonly values: { readonly [key: string]: TomlValue };
  /** Returns "file:line" of a dotted path; the line of its nearest named parent otherwise. */
  where(path: string): string;
}

export type ReadResult =
  | { readonly ok: true; readonly document: TomlDocument }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Returns "where: text". */
export function formatProblem(problem: Problem): string {
  return `${problem.where}: ${problem.text}`;
}

/** Reads and parses `file`; a byte order mark is skipped, an empty file is an empty document. */
export function readTomlFile(file: string): ReadResult {
  let bytes: Buffer;
  try {
    const found = statSync(file);
    if (found.isDirectory()) return broken(file, "is a directory, expected a TOML file");
    if (found.size > CONFIG_FILE_BYTES_MAX) {
      const limit = CONFIG_FILE_BYTES_MAX;
      return broken(file, `is ${found.size} bytes, a configuration has at most ${limit}`);
    }
    bytes = readFileSync(file);
  } catch (error) {
    return broken(file, `cannot be read: ${errorMessage(error)}`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return broken(file, "is not UTF-8 text");
  }
  return parseToml(text, file);
}

/** Parses the text of a configuration; `file` is its name in problems. */
export function parseToml(text: string, file: string): ReadResult {
  const { lines, duplicates } = findKeyLines(text);
  if (duplicates.length > 0) {
    const problems = duplicates.map(({ path, line }) => ({
      where: `${file}:${line}`,
      text: `${path} is set twice, first on line ${lines.get(path)}`,
    }));
    return { ok: false, problems };
  }
  try {
    const values = parse(text, { integersAsBigInt: true }) as { [key: string]: TomlValue };
    return { ok: true, document: { file, values, where: (path) => placeOf(file, lines, path) } };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n", 1)[0]?.replace(/^Invalid TOML document: /, "");
    return broken(`${file}:${error.line}`, `not valid TOML at column ${error.column}: ${reason}`);
  }
}

function broken(where: string, text: string): ReadResult {
  return { ok: false, problems: [{ where, text }] };
}

function placeOf(file: string, lines: ReadonlyMap<string, number>, path: string): string {
  for (let end = path.length; end > 0; end = path.lastIndexOf(".", end - 1)) {
    const line = lines.get(path.slice(0, end));
    if (line !== undefined) return `${file}:${line}`;
  }
  return file;
}

/** Returns a value as TOML text, cut to 80 characters; for "given …" in problems. */
export function showValue(value: TomlValue): string {
  const full = show(value);
  return full.length <= 80 ? full : `${full.slice(0, 77)}…`;
}

function show(value: TomlValue): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (isTable(value)) {
    const pairs = Object.entries(value).map(([key, one]) => `${key} = ${show(one)}`);
    return pairs.length === 0 ? "{}" : `{ ${pairs.join(", ")} }`;
  }
  return String(value);
}
