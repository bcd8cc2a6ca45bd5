/**
 * Golden scripts in the grammar of cockroachdb/datadriven:
 *
 *   # comment
 *   verb flag key=value key=(a, b)
 *   input lines
 *   ----
 *   expected output, up to an empty line; output with empty lines stands between "----" twice
 *
 * REWRITE=1 writes what the handler answers into the file; read the difference before committing.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface DataCase {
  readonly verb: string;
  /** Values by key; a flag has none. */
  readonly args: ReadonlyMap<string, readonly string[]>;
  readonly input: readonly string[];
  readonly expected: string;
  /** 1-based line of the verb. */
  readonly line: number;
}

interface Parsed {
  /** Text before the output of each case, separator line included. */
  readonly head: string;
  readonly item: DataCase;
}

const SEPARATOR = "----";
const ARGUMENT = /([^\s=()]+)(?:=(\([^)]*\)|[^\s()]+))?/g;

function parseArguments(text: string): Map<string, readonly string[]> {
  const args = new Map<string, readonly string[]>();
  for (const [, key, value] of text.matchAll(ARGUMENT)) {
    const inner = value?.startsWith("(") ? value.slice(1, -1) : value;
    const values = inner === undefined || inner.trim() === "" ? [] : inner.split(",");
    args.set(
      key as string,
      values.map((part) => part.trim()),
    );
  }
  return args;
}

/** Returns a case from its first line alone. */
export function caseOf(line: string): DataCase {
  const verb = line.split(/\s/, 1)[0] as string;
  const args = parseArguments(line.slice(verb.length));
  return { verb, args, input: [], expected: "", line: 1 };
}

/** Returns the cases of a script and the text behind the last one. */
function parse(text: string): { cases: Parsed[]; tail: string } {
  const lines = text.split("\n");
  const cases: Parsed[] = [];
  let at = 0;
  let headStart = 0;
  while (at < lines.length) {
    const line = lines[at] as string;
    if (line.trim() === "" || line.startsWith("#")) {
      at++;
      continue;
    }
    const start = at;
    const separator = lines.indexOf(SEPARATOR, at);
    if (separator < 0) throw new Error(`line ${start + 1}: no ${SEPARATOR} behind ${line}`);
    const [verb, rest] = [line.split(/\s/, 1)[0] as string, line.slice(line.search(/\s|$/))];
    const fenced = lines[separator + 1] === SEPARATOR;
    at = separator + (fenced ? 2 : 1);
    const from = at;
    while (at < lines.length && !endsOutput(lines, at, fenced)) at++;
    const expected = lines.slice(from, at).join("\n");
    if (fenced) at += 2;
    cases.push({
      head: lines.slice(headStart, separator + 1).join("\n"),
      item: {
        verb,
        args: parseArguments(rest),
        input: lines.slice(start + 1, separator),
        expected,
        line: start + 1,
      },
    });
    headStart = at;
  }
  return { cases, tail: lines.slice(headStart).join("\n") };
}

function endsOutput(lines: readonly string[], at: number, fenced: boolean): boolean {
  if (!fenced) return lines[at] === "";
  return lines[at] === SEPARATOR && lines[at + 1] === SEPARATOR;
}

/**
 * Runs a script and returns how many cases it has; throws at the first that differs, with both
 * outputs. Handlers answer without a last line end.
 */
export function runScript(path: string, handle: (item: DataCase) => string): number {
  const { cases, tail } = parse(readFileSync(path, "utf8"));
  const rewrite = process.env.REWRITE === "1";
  let text = "";
  for (const { head, item } of cases) {
    const actual = handle(item).replace(/\n+$/, "");
    if (!rewrite && actual !== item.expected.replace(/\n+$/, ""))
      throw new Error(
        `${path}:${item.line}: ${item.verb}\nexpected:\n${item.expected}\nactual:\n${actual}`,
      );
    const fence = /^\s*$/m.test(actual) && actual !== "" ? `\n${SEPARATOR}` : "";
    const close = fence === "" ? "" : `\n${SEPARATOR}\n${SEPARATOR}`;
    text += `${head}${fence}${actual === "" ? "" : `\n${actual}`}${close}\n`;
  }
  if (rewrite) writeFileSync(path, text + tail);
  return cases.length;
}

/** Returns the paths of the scripts in a folder, sorted. */
export function scriptsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".txt"))
    .sort()
    .map((name) => join(folder, name));
}
