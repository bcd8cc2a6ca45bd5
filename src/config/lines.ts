/**
 * Finds the line on which each key of a TOML document stands, and keys that stand twice.
 * It reads the shape only (headers, keys, strings, brackets); smol-toml reads the values and
 * decides what is legal. It never throws: where the document is malformed it stops.
 */

export interface KeyLines {
  /** Dotted path → line of its first appearance, from 1. Sections are included. */
  readonly lines: ReadonlyMap<string, number>;
  readonly duplicates: readonly { readonly path: string; readonly line: number }[];
}

const BARE = /[A-Za-z0-9_-]/;
const BLANK = /[ \t\r]/;
/** Deeper than any configuration; a hostile file must not exhaust the stack. */
const DEPTH_MAX = 64;

class Scanner {
  readonly lines = new Map<string, number>();
  readonly duplicates: { path: string; line: number }[] = [];
  #at = 0;
  #line = 1;
  #depth = 0;
  readonly #text: string;
  /** Headers of arrays of tables, whose keys may repeat. */
  readonly #repeatable = new Set<string>();
  /** Paths that a header or a pair named in full; parents are only implied by them. */
  readonly #defined = new Set<string>();

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    let section: string[] = [];
    while (this.#at < this.#text.length) {
      this.#skipBlank(true);
      if (this.#at >= this.#text.length) return;
      if (this.#peek() === "[") {
        const header = this.#header();
        if (header === undefined) return;
        section = header;
      } else if (!this.#pair(section)) return;
    }
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #next(): string {
    const char = this.#peek();
    if (char === "\n") this.#line++;
    this.#at++;
    return char;
  }

  #skipBlank(newlines: boolean): void {
    for (;;) {
      const char = this.#peek();
      if (char === "#") {
        while (this.#at < this.#text.length && this.#peek() !== "\n") this.#at++;
      } else if (char !== "" && (BLANK.test(char) || (newlines && char === "\n"))) this.#next();
      else return;
    }
  }

  #header(): string[] | undefined {
    this.#next();
    const isArray = this.#peek() === "[";
    if (isArray) this.#next();
    const line = this.#line;
    const key = this.#key();
    if (key === undefined || this.#next() !== "]" || (isArray && this.#next() !== "]")) {
      return undefined;
    }
    const path = key.join(".");
    if (isArray) this.#repeatable.add(path);
    this.#record(key, line, isArray);
    return key;
  }

  #pair(section: readonly string[]): boolean {
    const line = this.#line;
    const key = this.#key();
    if (key === undefined || this.#next() !== "=") return false;
    const full = [...section, ...key];
    this.#record(full, line, this.#repeatable.has(section.join(".")));
    return this.#value(full);
  }

  #record(key: readonly string[], line: number, repeatable: boolean): void {
    for (let depth = 1; depth < key.length; depth++) {
      const parent = key.slice(0, depth).join(".");
      if (!this.lines.has(parent)) this.lines.set(parent, line);
    }
    const path = key.join(".");
    if (!repeatable && this.#defined.has(path)) this.duplicates.push({ path, line });
    this.#defined.add(path);
    if (!this.lines.has(path)) this.lines.set(path, line);
  }

  #key(): string[] | undefined {
    const parts: string[] = [];
    for (;;) {
      this.#skipBlank(false);
      const char = this.#peek();
      let part = "";
      if (char === '"' || char === "'") {
        const start = this.#at + 1;
        if (!this.#string()) return undefined;
        part = this.#text.slice(start, this.#at - 1);
      } else {
        while (BARE.test(this.#peek())) part += this.#next();
        if (part === "") return undefined;
      }
      parts.push(part);
      this.#skipBlank(false);
      if (this.#peek() !== ".") return parts;
      this.#next();
    }
  }

  /** Moves behind a string of any of the four forms. */
  #string(): boolean {
    const mark = this.#peek();
    const long = this.#text.startsWith(mark.repeat(3), this.#at);
    const end = long ? mark.repeat(3) : mark;
    this.#at += end.length;
    while (this.#at < this.#text.length) {
      if (this.#text.startsWith(end, this.#at)) {
        this.#at += end.length;
        // A long string may end in one or two more of its quotes.
        while (long && this.#peek() === mark) this.#at++;
        return true;
      }
      const char = this.#next();
      if (char === "\n" && !long) return false;
      if (char === "\\" && mark === '"') this.#next();
    }
    return false;
  }

  /** Moves behind a value; keys of inline tables are recorded under `path`. */
  #value(path: readonly string[]): boolean {
    this.#skipBlank(false);
    const char = this.#peek();
    if (char === '"' || char === "'") return this.#string();
    if (char === "[" || char === "{") {
      if (this.#depth === DEPTH_MAX) return false;
      this.#depth++;
      const closed = char === "[" ? this.#array(path) : this.#inlineTable(path);
      this.#depth--;
      return closed;
    }
    const start = this.#at;
    while (this.#at < this.#text.length && !/[\n,\]}#]/.test(this.#peek())) this.#at++;
    return this.#at > start;
  }

  #array(path: readonly string[]): boolean {
    this.#next();
    for (;;) {
      this.#skipBlank(true);
      if (this.#peek() === "]") {
        this.#next();
        return true;
      }
      if (this.#peek() === ",") this.#next();
      else if (!this.#value(path)) return false;
    }
  }

  #inlineTable(path: readonly string[]): boolean {
    this.#next();
    for (;;) {
      this.#skipBlank(true);
      if (this.#peek() === "}") {
        this.#next();
        return true;
      }
      if (this.#peek() === ",") this.#next();
      else if (!this.#pair(path)) return false;
    }
  }
}

/** Returns where the keys of `text` stand. */
export function findKeyLines(text: string): KeyLines {
  const scanner = new Scanner(text);
  scanner.document();
  return { lines: scanner.lines, duplicates: scanner.duplicates };
}
