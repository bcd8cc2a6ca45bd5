/** A logger that keeps its lines, for tests that assert what was logged. */
import type { LogFields, Logger } from "../../src/base/index.js";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
}

export class LogLines implements Logger {
  readonly lines: LogLine[];
  private readonly context: LogFields;

  constructor(lines: LogLine[] = [], context: LogFields = {}) {
    this.lines = lines;
    this.context = context;
  }

  debug(message: string, fields: LogFields = {}): void {
    this.add("debug", message, fields);
  }

  info(message: string, fields: LogFields = {}): void {
    this.add("info", message, fields);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.add("warn", message, fields);
  }

  error(message: string, fields: LogFields = {}): void {
    this.add("error", message, fields);
  }

  child(fields: LogFields): Logger {
    return new LogLines(this.lines, { ...this.context, ...fields });
  }

  private add(level: LogLine["level"], message: string, fields: LogFields): void {
    this.lines.push({ level, message, fields: { ...this.context, ...fields } });
  }
}
