/** The log keys, which TiKV and PD share. */
import { bool, int, oneOf, text } from "./schema.js";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Fields of `[log]` and `[log.file]`. */
export const LOG_FIELDS = {
  "log.level": oneOf(LOG_LEVELS, "info", "Lowest level that is written.", {
    aliases: { warning: "warn", critical: "error", fatal: "error" },
    online: true,
  }),
  "log.format": oneOf(["text", "json"], "text", "TiKV's unified log format, or JSON lines."),
  "log.enable-timestamp": bool(true, "Whether lines begin with the time."),
  "log.file.filename": text("", "Log file; empty writes to stderr. SIGHUP reopens it."),
  "log.file.max-size": int(
    300,
    1,
    4096,
    "Size in MiB at which the file is renamed and begun anew.",
  ),
  "log.file.max-days": int(0, 0, 36_500, "Days after which renamed files are removed; 0 = never."),
  "log.file.max-backups": int(0, 0, 100_000, "Renamed files to keep; 0 = all."),
} as const;

/** What the logger needs. */
export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "text" | "json";
  readonly timestamps: boolean;
  /** Empty = stderr. */
  readonly filename: string;
  readonly maxSizeBytes: number;
  readonly maxDays: number;
  readonly maxBackups: number;
}

type LogValues = {
  readonly [K in keyof typeof LOG_FIELDS]: (typeof LOG_FIELDS)[K]["defaultValue"];
};

/** Returns the options of the logger. */
export function logOptions(values: LogValues): LogOptions {
  return {
    level: values["log.level"],
    format: values["log.format"],
    timestamps: values["log.enable-timestamp"],
    filename: values["log.file.filename"],
    maxSizeBytes: values["log.file.max-size"] * 1024 * 1024,
    maxDays: values["log.file.max-days"],
    maxBackups: values["log.file.max-backups"],
  };
}
