/**
 * The process's logger: pino behind the Logger interface, TiKV's text format or JSON, with a rate
 * limit per message so that one fault cannot fill the disk.
 */
import { type Logger as Pino, pino } from "pino";
import { type Clock, errorMessage, type LogFields, type Logger, toHex } from "../base/index.js";
import type { LogLevel, LogOptions } from "../config/index.js";
import { openLogSink } from "./log_file.js";
import { formatTime, textLine } from "./log_format.js";

/** Lines of one message within one second; more are counted and told later. A guess. */
export const LINES_PER_SECOND_MAX = 100;
/** Messages are constants, so there are few; the bound only guards against a mistake. */
const MESSAGES_MAX = 1024;

export interface RootLogger extends Logger {
  setLevel(level: LogLevel): void;
  /** Opens the log file anew (SIGHUP). */
  reopen(): void;
}

interface Window {
  startMs: number;
  lines: number;
  suppressed: number;
}

/** Counts lines per message and second. */
export class LineLimit {
  readonly #windows = new Map<string, Window>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns how many lines were suppressed before this one, or -1 if this one is suppressed. */
  admit(message: string): number {
    const now = this.#clock.monotonicMs();
    const window = this.#windows.get(message);
    if (window === undefined) {
      if (this.#windows.size >= MESSAGES_MAX) this.#windows.clear();
      this.#windows.set(message, { startMs: now, lines: 1, suppressed: 0 });
      return 0;
    }
    if (now - window.startMs >= 1000) {
      const { suppressed } = window;
      window.startMs = now;
      window.lines = 1;
      window.suppressed = 0;
      return suppressed;
    }
    if (window.lines >= LINES_PER_SECOND_MAX) {
      window.suppressed++;
      return -1;
    }
    window.lines++;
    return 0;
  }
}

function plainFields(fields: LogFields): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value === "bigint") out[key] = value.toString();
    else if (value instanceof Uint8Array) out[key] = toHex(value).toUpperCase();
    else if (value instanceof Error) out[key] = errorText(value);
    else out[key] = value;
  }
  return out;
}

/** Returns an error with its causes, innermost last. */
function errorText(error: unknown): string {
  const parts = [errorMessage(error)];
  let cause = error instanceof Error ? error.cause : undefined;
  for (let depth = 0; cause !== undefined && depth < 4; depth++) {
    const text = errorMessage(cause);
    if (!parts.includes(text)) parts.push(text);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return parts.join(": ");
}

type Level = "debug" | "info" | "warn" | "error";

function wrap(line: Pino, limit: LineLimit): Logger {
  const at =
    (level: Level) =>
    (message: string, fields?: LogFields, error?: unknown): void => {
      if (!line.isLevelEnabled(level)) return;
      const suppressed = limit.admit(message);
      if (suppressed < 0) return;
      const all = fields === undefined ? {} : plainFields(fields);
      if (error !== undefined) all.error = errorText(error);
      if (suppressed > 0) all.lines_suppressed = suppressed;
      line[level](all, message);
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => wrap(line.child(plainFields(fields)), limit),
  };
}

/** Opens the log. Errs with RUTILE:Log:File when the file cannot be opened. */
export function createLogger(options: LogOptions, clock: Clock): RootLogger {
  const sink = openLogSink(options, clock);
  const write =
    options.format === "json"
      ? (json: string): void => sink.write(json)
      : (json: string): void => sink.write(textLine(json));
  const line = pino(
    {
      level: options.level,
      base: null,
      messageKey: "message",
      timestamp: options.timestamps ? () => `,"time":"${formatTime(clock.nowMs())}"` : false,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
    },
    { write },
  );
  return {
    ...wrap(line, new LineLimit(clock)),
    setLevel: (level) => {
      line.level = level;
    },
    reopen: () => sink.reopen(),
  };
}
