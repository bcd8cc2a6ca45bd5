/**
 * Field kinds of the configuration: how a value is read from TOML or from a flag, what is legal,
 * and how it is written back. A field is data; which fields exist is in tikv.ts and pd.ts.
 */
import {
  err,
  formatDuration,
  formatSize,
  ok,
  parseDuration,
  parseSize,
  type Result,
} from "../base/index.js";

/** What smol-toml gives, with integers as BigInt so that 1 and 1.0 differ. */
export type TomlValue =
  | string
  | number
  | bigint
  | boolean
  | Date
  | readonly TomlValue[]
  | { readonly [key: string]: TomlValue };

/**
 * One configuration key. Flags hand their text to `parse` as a string, so a kind that a flag can
 * set accepts its text form too. The error of `parse` says what was expected.
 */
export interface Field<T> {
  readonly defaultValue: T;
  /** One or more sentences for people, printed above the key by --print-default-config. */
  readonly doc: string;
  /** Whether a running process can take a new value. */
  readonly online: boolean;
  /** A table of free keys (labels), not a section. */
  readonly isMap: boolean;
  parse(value: TomlValue): Result<T, string>;
  /** Returns the value as TOML that parses back to it. */
  format(value: T): string;
  /** Returns the value as TiKV's /config shows it. */
  toJson(value: T): unknown;
}

/** The keys of one schema: full dotted name → field. Insertion order is the printed order. */
export type Fields = Readonly<Record<string, Field<unknown>>>;
/** The typed values of a schema, by full dotted name. */
export type Values<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

export interface Host {
  /** Without the brackets of an IPv6 literal. */
  readonly host: string;
  readonly port: number;
}

interface Kind<T> {
  readonly isMap?: boolean;
  parse(value: TomlValue): Result<T, string>;
  format(value: T): string;
  toJson?(value: T): unknown;
}

function field<T>(kind: Kind<T>, defaultValue: T, doc: string, online = false): Field<T> {
  return {
    defaultValue,
    doc,
    online,
    isMap: kind.isMap ?? false,
    parse: kind.parse,
    format: kind.format,
    toJson: kind.toJson ?? ((value) => value),
  };
}

const quote = (text: string): string => JSON.stringify(text);

/** true or false. */
export function bool(defaultValue: boolean, doc: string): Field<boolean> {
  const parse = (value: TomlValue): Result<boolean, string> =>
    typeof value === "boolean" ? ok(value) : err("true or false");
  return field({ parse, format: String }, defaultValue, doc);
}

/** A whole number in `[min, max]`; written 3, not "3" and not 3.0. */
export function int(defaultValue: number, min: number, max: number, doc: string): Field<number> {
  const parse = (value: TomlValue): Result<number, string> =>
    typeof value === "bigint" && value >= BigInt(min) && value <= BigInt(max)
      ? ok(Number(value))
      : err(`a whole number from ${min} to ${max}`);
  return field({ parse, format: String }, defaultValue, doc);
}

/** A number in `[min, max]`. */
export function float(defaultValue: number, min: number, max: number, doc: string): Field<number> {
  const parse = (value: TomlValue): Result<number, string> => {
    const number = typeof value === "bigint" ? Number(value) : value;
    const fits = typeof number === "number" && number >= min && number <= max;
    return fits ? ok(number) : err(`a number from ${min} to ${max}`);
  };
  const format = (value: number): string =>
    Number.isInteger(value) ? value.toFixed(1) : String(value);
  return field({ parse, format }, defaultValue, doc);
}

/** Any text without control characters. */
export function text(defaultValue: string, doc: string): Field<string> {
  const parse = (value: TomlValue): Result<string, string> =>
    typeof value === "string" && !/\p{Cc}/u.test(value)
      ? ok(value)
      : err('a string in quotes, such as "abc"');
  return field({ parse, format: quote }, defaultValue, doc);
}

const NAME = /^[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9])?$/;

/** A list of different names of letters, digits, "-", "_", ".", "/". Text: "a,b". */
export function names(doc: string): Field<readonly string[]> {
  const expected = 'a list of names, such as ["zone", "host"]';
  const parse = (value: TomlValue): Result<readonly string[], string> => {
    const given = typeof value === "string" ? value.split(",").filter((one) => one !== "") : value;
    if (!Array.isArray(given)) return err(expected);
    const fits = given.every((one) => typeof one === "string" && NAME.test(one));
    return fits && new Set(given).size === given.length ? ok(given as string[]) : err(expected);
  };
  return field({ parse, format: (list) => `[${list.map(quote).join(", ")}]` }, [], doc);
}

/** One of a closed set of names. */
export function oneOf<const T extends string>(
  names: readonly T[],
  defaultValue: NoInfer<T>,
  doc: string,
  options: { readonly aliases?: Readonly<Record<string, T>>; readonly online?: boolean } = {},
): Field<T> {
  const parse = (value: TomlValue): Result<T, string> => {
    const given = typeof value === "string" ? value.toLowerCase() : "";
    const name = names.find((one) => one === given) ?? options.aliases?.[given];
    return name === undefined ? err(`one of ${names.map(quote).join(", ")}`) : ok(name);
  };
  return field<T>({ parse, format: quote }, defaultValue, doc, options.online);
}

/** A whole number from a closed set. */
export function intOf<const T extends number>(
  numbers: readonly T[],
  defaultValue: NoInfer<T>,
  doc: string,
): Field<T> {
  const parse = (value: TomlValue): Result<T, string> => {
    const number = numbers.find((one) => typeof value === "bigint" && BigInt(one) === value);
    return number === undefined ? err(numbers.join(" or ")) : ok(number);
  };
  return field({ parse, format: String }, defaultValue, doc);
}

/** Milliseconds in `[minMs, maxMs]`, written with units: "100ms", "1h30m". */
export function duration(
  defaultText: string,
  minText: string,
  maxText: string,
  doc: string,
): Field<number> {
  const [defaultMs, minMs, maxMs] = [defaultText, minText, maxText].map(
    (one) => parseDuration(one) as number,
  ) as [number, number, number];
  const parse = (value: TomlValue): Result<number, string> => {
    const ms = typeof value === "string" ? parseDuration(value) : undefined;
    if (ms === undefined) return err('a duration with units d, h, m, s, ms, such as "1m30s"');
    return ms >= minMs && ms <= maxMs ? ok(ms) : err(`a duration from ${minText} to ${maxText}`);
  };
  const format = (ms: number): string => quote(formatDuration(ms));
  return field({ parse, format, toJson: formatDuration }, defaultMs, doc);
}

/** Bytes in `[min, max]`, written with units of 1024: "8MiB" = "8MB"; a plain number is bytes. */
export function size(
  defaultText: string,
  minText: string,
  maxText: string,
  doc: string,
): Field<number> {
  const [defaultBytes, minBytes, maxBytes] = [defaultText, minText, maxText].map(
    (one) => parseSize(one) as number,
  ) as [number, number, number];
  const parse = (value: TomlValue): Result<number, string> => {
    const given = typeof value === "bigint" ? String(value) : value;
    const bytes = typeof given === "string" ? parseSize(given) : undefined;
    if (bytes === undefined) return err('a size with units B, KiB, MiB, GiB, such as "8MiB"');
    return bytes >= minBytes && bytes <= maxBytes
      ? ok(bytes)
      : err(`a size from ${minText} to ${maxText}`);
  };
  const format = (bytes: number): string => quote(formatSize(bytes));
  return field({ parse, format, toJson: formatSize }, defaultBytes, doc);
}

const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@[\]]+)):(\d{1,5})$/;

/** Returns host and port of "host:port" or "[ipv6]:port"; undefined for anything else. */
export function parseAddress(given: string): Host | undefined {
  const match = ADDRESS.exec(given);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: (match[1] ?? match[2]) as string, port };
}

/** Returns "host:port", with brackets around an IPv6 host. */
export function formatAddress({ host, port }: Host): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** "host:port"; port 0 takes any free port. `optional` also allows "". */
export function address(defaultValue: string, doc: string, optional = false): Field<string> {
  const parse = (value: TomlValue): Result<string, string> => {
    if (optional && value === "") return ok("");
    const fits = typeof value === "string" && parseAddress(value) !== undefined;
    return fits ? ok(value) : err('an address "HOST:PORT", such as "127.0.0.1:20160"');
  };
  return field({ parse, format: quote }, defaultValue, doc);
}

function parseUrl(given: string): string | undefined {
  const plain = given
    .trim()
    .replace(/^https?:\/\//, "")
    .replace(/\/$/, "");
  return parseAddress(plain) === undefined ? undefined : plain;
}

/**
 * A list of addresses, "http://" before them allowed; kept without it. Text may join several with
 * commas, as PD's client-urls and the flags do.
 */
export function addresses(
  defaultValue: readonly string[],
  doc: string,
  form: "list" | "urls",
): Field<readonly string[]> {
  const expected =
    form === "list"
      ? 'a list of addresses, such as ["127.0.0.1:2379"]'
      : 'URLs "http://HOST:PORT", joined by commas';
  const parse = (value: TomlValue): Result<readonly string[], string> => {
    const given = typeof value === "string" ? (value === "" ? [] : value.split(",")) : value;
    if (!Array.isArray(given)) return err(expected);
    const found = given.map((one: TomlValue) =>
      typeof one === "string" && !one.startsWith("https:") ? parseUrl(one) : undefined,
    );
    if (found.includes(undefined) || (found.length === 0 && defaultValue.length > 0)) {
      return err(expected);
    }
    return ok(found as string[]);
  };
  const urls = (list: readonly string[]): string => list.map((one) => `http://${one}`).join(",");
  return form === "list"
    ? field({ parse, format: (list) => `[${list.map(quote).join(", ")}]` }, defaultValue, doc)
    : field({ parse, format: (list) => quote(urls(list)), toJson: urls }, defaultValue, doc);
}

/** Store labels: keys and values of letters, digits, "-", "_", ".", "/". Text: "k=v,k=v". */
export function labels(doc: string): Field<Readonly<Record<string, string>>> {
  const expected = 'labels of letters, digits, "-", "_", ".", such as { zone = "z1" }';
  const parse = (value: TomlValue): Result<Readonly<Record<string, string>>, string> => {
    const pairs =
      typeof value === "string"
        ? value.split(",").map((part) => part.split("=") as TomlValue[])
        : isTable(value)
          ? Object.entries(value)
          : undefined;
    if (pairs === undefined) return err(expected);
    const found = new Map<string, string>();
    for (const [key, label, ...more] of pairs) {
      const fits = typeof key === "string" && typeof label === "string" && more.length === 0;
      if (!fits || !NAME.test(key) || !NAME.test(label) || found.has(key)) return err(expected);
      found.set(key, label);
    }
    return ok(Object.fromEntries(found));
  };
  const format = (value: Readonly<Record<string, string>>): string => {
    const pairs = Object.entries(value).map(([key, label]) => `${quote(key)} = ${quote(label)}`);
    return pairs.length === 0 ? "{}" : `{ ${pairs.join(", ")} }`;
  };
  return field({ isMap: true, parse, format }, {}, doc);
}

/** A path that must stay empty, because what it turns on does not exist here. */
export function unsupportedPath(doc: string): Field<string> {
  const parse = (value: TomlValue): Result<string, string> =>
    value === "" ? ok("") : err('"" (TLS is not supported by this version)');
  return field({ parse, format: quote }, "", doc);
}

/** Returns whether `value` is a TOML table. */
export function isTable(value: TomlValue): value is { readonly [key: string]: TomlValue } {
  return typeof value === "object" && !Array.isArray(value) && !(value instanceof Date);
}
