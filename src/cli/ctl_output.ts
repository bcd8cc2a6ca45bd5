/** How `rutile ctl` prints: aligned columns for people, one JSON document with --json. */
import { fromHex, toHex, utf8, utf8Decode } from "../base/index.js";

/** Where output goes and how the process will exit; tests bring their own. */
export interface CtlIo {
  out(text: string): void;
  error(text: string): void;
  setExitCode(code: number): void;
}

/** The process's own streams. */
export const PROCESS_IO: CtlIo = {
  out: (text) => void process.stdout.write(`${text}\n`),
  error: (text) => void process.stderr.write(`${text}\n`),
  setExitCode: (code) => {
    process.exitCode = code;
  },
};

export type Cell = string | number | bigint | boolean | undefined | readonly string[];
export type Row = Readonly<Record<string, Cell>>;

function cellText(cell: Cell): string {
  if (cell === undefined) return "-";
  if (cell === "") return '""';
  return typeof cell === "object" ? cell.join(",") || "-" : String(cell);
}

/** Returns rows as aligned columns under their names; the columns of the first row count. */
export function table(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return "(none)";
  const names = Object.keys(first);
  const lines = [names, ...rows.map((row) => names.map((name) => cellText(row[name])))];
  const widths = names.map((_, i) => Math.max(...lines.map((line) => (line[i] as string).length)));
  return lines
    .map((line) =>
      line
        .map((text, i) => text.padEnd(widths[i] as number))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Returns JSON; bigints become numbers where that is exact and strings where it is not. */
export function json(value: unknown): string {
  return JSON.stringify(
    value,
    (_, item: unknown) => {
      if (typeof item !== "bigint") return item;
      const number = Number(item);
      return Number.isSafeInteger(number) ? number : item.toString();
    },
    2,
  );
}

const UNPRINTABLE = /[\p{Cc}\p{Cn}\uFFFD]/u;

/** Returns bytes as text if they are printable UTF-8, otherwise, or with `hex`, as 0x… */
export function bytesText(bytes: Uint8Array, hex = false): string {
  if (!hex) {
    const text = utf8Decode(bytes);
    if (!UNPRINTABLE.test(text) && !text.startsWith("0x")) return text;
  }
  return `0x${toHex(bytes)}`;
}

/** Returns the bytes of an argument: UTF-8, or what follows 0x as hex. Throws RangeError. */
export function parseBytes(text: string): Uint8Array {
  return text.startsWith("0x") ? fromHex(text.slice(2)) : utf8(text);
}
