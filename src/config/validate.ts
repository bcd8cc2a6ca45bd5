/**
 * Checks a document and flags against a schema and returns all problems at once, never only the
 * first. A flag wins over the file. Keys that TiKV or PD know and this program does not use give
 * one warning each.
 */
import { nearestName } from "../base/index.js";
import { KNOWN_KEYS } from "./known_keys.js";
import { type Fields, isTable, type TomlValue, type Values } from "./schema.js";
import { type Problem, showValue, type TomlDocument } from "./toml.js";

/** A value from the command line, and the flag that gave it. */
export interface FlagValue {
  readonly flag: string;
  readonly key: string;
  readonly value: TomlValue;
}

export interface Sources {
  readonly document?: TomlDocument;
  readonly flags?: readonly FlagValue[];
}

export interface Validated<F extends Fields> {
  /** Every key of the schema; the default where nothing valid was given. */
  readonly values: Values<F>;
  /** Keys that the file or a flag set. */
  readonly given: ReadonlySet<string>;
  /** Fatal ones, in document order, flags last. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Returns where a key was set, for problems that other parts find: "f.toml:3", "--addr". */
  where(key: string): string;
}

class Validation {
  readonly found = new Map<string, unknown>();
  readonly places = new Map<string, string>();
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #fields: Fields;
  readonly #unused: ReadonlySet<string>;
  readonly #others: ReadonlySet<string>;
  readonly #sections = new Set<string>();

  constructor(fields: Fields, otherKeys: Iterable<string>) {
    this.#fields = fields;
    this.#others = new Set(otherKeys);
    const unused = [...KNOWN_KEYS, ...this.#others].filter((key) => !(key in fields));
    this.#unused = new Set(unused);
    for (const key of [...Object.keys(fields), ...unused]) {
      for (let dot = key.indexOf("."); dot > 0; dot = key.indexOf(".", dot + 1)) {
        this.#sections.add(key.slice(0, dot));
      }
    }
  }

  table(
    document: TomlDocument,
    table: { readonly [key: string]: TomlValue },
    prefix: string,
  ): void {
    for (const [name, value] of Object.entries(table)) {
      const key = `${prefix}${name}`;
      const where = document.where(key);
      if (Object.hasOwn(this.#fields, key)) this.set(key, value, where);
      else if (this.#unused.has(key)) this.#warn(key, where);
      else if (isTable(value) && (this.#sections.has(key) || Object.keys(value).length > 0)) {
        this.table(document, value, `${key}.`);
      } else this.#unknown(key, value, where);
    }
  }

  set(key: string, value: TomlValue, where: string): void {
    const field = this.#fields[key];
    const parsed = field?.parse(value);
    if (parsed === undefined) return;
    if (parsed.ok) {
      this.found.set(key, parsed.value);
      this.places.set(key, where);
      return;
    }
    const text = `${key}: given ${showValue(value)}, expected ${parsed.error}`;
    this.problems.push({ where, text });
  }

  #warn(key: string, where: string): void {
    const text = this.#others.has(key)
      ? `${key} is used by another command, not by this one`
      : `${key} is a key of TiKV or PD that Rutile does not use`;
    this.warnings.push({ where, text });
  }

  #unknown(key: string, value: TomlValue, where: string): void {
    const isSection = this.#sections.has(key);
    if (isSection) {
      const text = `${key}: given ${showValue(value)}, expected a section [${key}]`;
      this.problems.push({ where, text });
      return;
    }
    const names = [...Object.keys(this.#fields), ...this.#unused, ...this.#sections];
    const near = nearestName(key, names);
    const hint = near === undefined ? "expected a key of --print-default-config" : undefined;
    const text = `unknown key ${key} (given ${showValue(value)}); ${hint ?? `did you mean ${near}?`}`;
    this.problems.push({ where, text });
  }
}

/**
 * Checks `sources` against `fields`. `otherKeys` are keys of the other role, which may share the
 * file and are warned about.
 */
export function validate<F extends Fields>(
  fields: F,
  sources: Sources,
  otherKeys: Iterable<string> = [],
): Validated<F> {
  const validation = new Validation(fields, otherKeys);
  const { document, flags } = sources;
  if (document !== undefined) validation.table(document, document.values, "");
  for (const { flag, key, value } of flags ?? []) validation.set(key, value, flag);
  const values: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(fields)) {
    values[key] = validation.found.has(key) ? validation.found.get(key) : field.defaultValue;
  }
  return {
    values: values as Values<F>,
    given: new Set(validation.found.keys()),
    problems: validation.problems,
    warnings: validation.warnings,
    where: (key) => validation.places.get(key) ?? "default",
  };
}
