/** Writes configurations out: --print-default-config, and the JSON of /config. */
import type { Fields, Values } from "./schema.js";

const WIDTH = 98;

function comment(doc: string): string[] {
  const lines: string[] = [];
  let line = "#";
  for (const word of doc.split(" ")) {
    if (line.length + word.length + 1 > WIDTH) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** Returns TOML with every key of `fields`, its doc above it, that parses back to `values`. */
export function printConfig<F extends Fields>(fields: F, values: Values<F>): string {
  const sections = new Map<string, string[]>([["", []]]);
  for (const [key, field] of Object.entries(fields)) {
    const dot = key.lastIndexOf(".");
    const section = key.slice(0, Math.max(0, dot));
    const lines = sections.get(section) ?? [];
    sections.set(section, lines);
    const value = (values as Record<string, unknown>)[key];
    lines.push(...comment(field.doc), `${key.slice(dot + 1)} = ${field.format(value)}`, "");
  }
  const out: string[] = [];
  for (const [section, lines] of sections) {
    if (lines.length === 0) continue;
    if (section !== "") out.push(`[${section}]`);
    out.push(...lines);
  }
  return `${out.join("\n").trimEnd()}\n`;
}

/** Returns TOML with the keys of `fields` that a file or a flag gave, one line each. */
export function printGiven(
  fields: Fields,
  config: { readonly values: object; readonly given: ReadonlySet<string> },
): string {
  const values = config.values as Readonly<Record<string, unknown>>;
  return Object.entries(fields)
    .filter(([key]) => config.given.has(key))
    .map(([key, field]) => `${key} = ${field.format(values[key])}\n`)
    .join("");
}

/** Returns the defaults of `fields`. */
export function defaultsOf<F extends Fields>(fields: F): Values<F> {
  const pairs = Object.entries(fields).map(([key, field]) => [key, field.defaultValue]);
  return Object.fromEntries(pairs) as Values<F>;
}

type JsonTree = { [key: string]: unknown };

/** Returns `values` as nested tables, sizes and durations as text, as TiKV's /config does. */
export function configToJson<F extends Fields>(fields: F, values: Values<F>): JsonTree {
  const root: JsonTree = {};
  for (const [key, field] of Object.entries(fields)) {
    const path = key.split(".");
    const leaf = path.pop() as string;
    let table = root;
    for (const part of path) {
      table[part] ??= {};
      table = table[part] as JsonTree;
    }
    table[leaf] = field.toJson((values as Record<string, unknown>)[key]);
  }
  return root;
}
