/**
 * What all benches share: modes, seed, measuring with tinybench, the table and the JSON lines.
 * `smoke` runs everything a few times, to show that it works; only `real` figures mean anything.
 */
import { createHash } from "node:crypto";
import { cpus } from "node:os";
import { Bench } from "tinybench";

export type Mode = "smoke" | "real";

const SEED = 0x2545_f491;
const REAL = { time: 30, iterations: 30, warmupTime: 15, warmupIterations: 10 };
const SMOKE = { time: 0, iterations: 2, warmup: false };
const NS_PER_MS = 1e6;

/** What a bench module's `run` gets. */
export interface BenchContext {
  readonly mode: Mode;
}

/** One measured line of the table: `name` and `params` make the row, `series` the column. */
export interface Report {
  readonly name: string;
  readonly params: Readonly<Record<string, string | number>>;
  /** Of one row, the first series is the base of the ratios. */
  readonly series: string;
  readonly unit: string;
  /** Which direction is better; ratios above 1 mean better than the base. */
  readonly better: "lower" | "higher";
  readonly median: number;
  readonly p99: number;
  readonly samples: number;
  /** Hash of what the measured code computed; equal in all series of a row. */
  readonly hash: string;
}

/** What every bench module exports. Files in a bench folder without `run` are helpers. */
export interface BenchModule {
  run(context: BenchContext): readonly Report[] | Promise<readonly Report[]>;
}

/** Something synchronous to measure per item. */
export interface SyncCase {
  readonly name: string;
  readonly params: Readonly<Record<string, string | number>>;
  readonly series: string;
  /** Items that one `call` handles. */
  readonly items: number;
  call(): void;
  /** Returns the bytes that the last call computed. */
  result(): Uint8Array;
}

/** A sample handles at least this many items, so that the clock's own cost drowns. */
const ITEMS_PER_SAMPLE = 4096;

/** Measures cases as the generator makes them (each may reuse the memory of the one before). */
export function measureSync(context: BenchContext, cases: Iterable<SyncCase>): Report[] {
  const reports: Report[] = [];
  for (const item of cases) reports.push(measureOne(context, item));
  checkHashes(reports);
  return reports;
}

function measureOne({ mode }: BenchContext, item: SyncCase): Report {
  const repeat = mode === "smoke" ? 1 : Math.ceil(ITEMS_PER_SAMPLE / item.items);
  const bench = new Bench({ ...(mode === "smoke" ? SMOKE : REAL), throws: true });
  bench.add(item.name, () => {
    for (let i = 0; i < repeat; i++) item.call();
  });
  const [task] = bench.runSync();
  if (task === undefined || task.result.state !== "completed") {
    throw new Error(`${item.name} ${item.series} did not complete`);
  }
  const { latency } = task.result;
  const perItem = NS_PER_MS / (repeat * item.items);
  return {
    name: item.name,
    params: item.params,
    series: item.series,
    unit: "ns/item",
    better: "lower",
    median: latency.p50 * perItem,
    p99: latency.p99 * perItem,
    samples: latency.samplesCount,
    hash: hashOf(item.result()),
  };
}

function rowOf({ name, params }: Report): string {
  return `${name} ${JSON.stringify(params)}`;
}

/** Throws when two series of one row computed different things: then they are not comparable. */
function checkHashes(reports: readonly Report[]): void {
  const seen = new Map<string, string>();
  for (const report of reports) {
    const row = rowOf(report);
    const known = seen.get(row) ?? report.hash;
    if (known !== report.hash) throw new Error(`${row}: ${report.series} computed another result`);
    seen.set(row, known);
  }
}

/** Returns the first 12 hex digits of SHA-256. */
export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 12);
}

/** Returns a generator of u32 with the fixed seed (mulberry32). */
export function seededU32(): () => number {
  let state = SEED;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** Returns `length` seeded bytes. */
export function randomBytes(next: () => number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = next();
  return bytes;
}

/** Returns processor, count, runtime: what a figure belongs to. */
export function machine(): string {
  const [first] = cpus();
  const { arch, platform, versions } = process;
  return `${first?.model ?? "?"}, ${cpus().length} cpus, ${platform} ${arch}, Node ${versions.node}, V8 ${versions.v8}`;
}

/** Returns a table for each set of series, so that rows do not carry the columns of others. */
export function tablesOf(reports: readonly Report[]): string {
  const rows = new Map<string, Report[]>();
  for (const report of reports) {
    const row = rows.get(rowOf(report)) ?? [];
    row.push(report);
    rows.set(rowOf(report), row);
  }
  const tables = new Map<string, Report[]>();
  for (const row of rows.values()) {
    const key = JSON.stringify(row.map(({ series }) => series));
    tables.set(key, [...(tables.get(key) ?? []), ...row]);
  }
  return [...tables.values()].map(tableOf).join("\n\n");
}

/** Returns one table for reports: a row per case, a column per series. */
export function tableOf(reports: readonly Report[]): string {
  const rows = new Map<string, Report[]>();
  for (const report of reports) {
    const row = rows.get(rowOf(report)) ?? [];
    row.push(report);
    rows.set(rowOf(report), row);
  }
  const paramNames = [...new Set(reports.flatMap(({ params }) => Object.keys(params)))];
  const series = [...new Set(reports.map((report) => report.series))];
  const head = [
    "bench",
    ...paramNames,
    "unit",
    ...series,
    ...series.slice(1).map((name) => `${name}/${series[0]}`),
    ...series.map((name) => `p99 ${name}`),
    "result",
  ];
  const lines = [...rows.values()].map((row) => lineOf(row, paramNames, series));
  return align([head, ...lines]);
}

function lineOf(row: readonly Report[], paramNames: string[], series: string[]): string[] {
  const [base] = row as [Report];
  const cells = series.map((name) => row.find((report) => report.series === name));
  const ratio = (report: Report | undefined): string => {
    if (report === undefined) return "-";
    const [over, under] = report.better === "lower" ? [base, report] : [report, base];
    return `${(over.median / under.median).toFixed(2)}x`;
  };
  return [
    base.name,
    ...paramNames.map((name) => String(base.params[name] ?? "-")),
    base.unit,
    ...cells.map((report) => figure(report?.median)),
    ...cells.slice(1).map(ratio),
    ...cells.map((report) => figure(report?.p99)),
    base.hash,
  ];
}

function figure(value: number | undefined): string {
  if (value === undefined) return "-";
  return value >= 1000 ? value.toFixed(0) : value.toFixed(value >= 100 ? 0 : 1);
}

function align(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] as readonly string[]).map((_, column) =>
    Math.max(...lines.map((line) => (line[column] as string).length)),
  );
  const numeric = (cell: string): boolean => /^[\d.]+x?$|^-$/.test(cell);
  return lines
    .map((line) =>
      line
        .map((cell, i) =>
          numeric(cell) ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
