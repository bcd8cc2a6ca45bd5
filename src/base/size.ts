/**
 * Sizes as text, in TiKV's notation. All units are powers of 1024: "1KB", "1KiB" and "1K" are the
 * same 1,024 bytes, as in TiKV. Values are bytes.
 */

const UNITS: readonly (readonly [string, number])[] = [
  ["PiB", 2 ** 50],
  ["TiB", 2 ** 40],
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
  ["B", 1],
];

const SIZE = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?b)?$/i;
const FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** Returns whole bytes, or undefined when `text` is not a size. A number alone is bytes. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text.trim());
  if (match === null) return undefined;
  const prefix = (match[2] as string).toLowerCase();
  if (prefix === "" && match[3]?.toLowerCase() === "ib") return undefined;
  const bytes = Number(match[1]) * (FACTORS[prefix] as number);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Returns the shortest exact text, in the largest unit that divides `bytes`; "0B" for zero. */
export function formatSize(bytes: number): string {
  for (const [name, unit] of UNITS) {
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit}${name}`;
  }
  return "0B";
}
