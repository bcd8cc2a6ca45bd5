/**
 * Durations as text, in TiKV's notation: one or more numbers with a unit, largest unit first
 * ("1h30m", "100ms", "2.5s"). Values are milliseconds, with a fraction for microseconds.
 */

const UNITS: readonly (readonly [string, number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
  ["us", 0.001],
];

const PART = /^(\d+(?:\.\d+)?)(ms|us|µs|d|h|m|s)/;
const PRECISION = 1000;

/** Returns milliseconds, or undefined when `text` is not a duration. "0" needs no unit. */
export function parseDuration(text: string): number | undefined {
  let rest = text.trim();
  if (rest === "0") return 0;
  if (rest === "") return undefined;
  let total = 0;
  let unitMax = Number.POSITIVE_INFINITY;
  while (rest !== "") {
    const match = PART.exec(rest);
    if (match === null) return undefined;
    const name = match[2] === "µs" ? "us" : match[2];
    const unit = UNITS.find(([unitName]) => unitName === name)?.[1] as number;
    if (unit >= unitMax) return undefined;
    unitMax = unit;
    total += Number(match[1]) * unit;
    rest = rest.slice(match[0].length);
  }
  const rounded = Math.round(total * PRECISION) / PRECISION;
  return Number.isSafeInteger(Math.round(total)) ? rounded : undefined;
}

/** Returns the shortest text that parses back to `ms`; "0s" for zero. */
export function formatDuration(ms: number): string {
  let microseconds = Math.round(ms * PRECISION);
  let text = "";
  for (const [name, unit] of UNITS) {
    const size = Math.round(unit * PRECISION);
    const count = Math.floor(microseconds / size);
    if (count === 0) continue;
    text += `${count}${name}`;
    microseconds -= count * size;
  }
  return text === "" ? "0s" : text;
}
