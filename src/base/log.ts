/**
 * The logger that every folder takes as a dependency; pino stands behind it in node/.
 * Messages are constant strings, details go into fields with snake_case keys.
 */
import { toHex } from "./bytes.js";

export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields, error?: unknown): void;
  info(message: string, fields?: LogFields, error?: unknown): void;
  warn(message: string, fields?: LogFields, error?: unknown): void;
  error(message: string, fields?: LogFields, error?: unknown): void;
  /** Returns a logger that adds `fields` to each line. */
  child(fields: LogFields): Logger;
}

let redactKeys = false;

/** Turns `security.redact-info-log` on or off for this process. */
export function setKeyRedaction(enabled: boolean): void {
  redactKeys = enabled;
}

/** Returns a key for a log line: upper-case hex, or "?" when redaction is on. */
export function redact(key: Uint8Array): string {
  return redactKeys ? "?" : toHex(key).toUpperCase();
}

const ignore = (): void => {};

/** Discards everything; the default of tests. */
export const NULL_LOGGER: Logger = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => NULL_LOGGER,
};
