/** Exit codes, and how a failure is told: one clear line on stderr, never a stack trace first. */
import { AssertionError, ERROR_CODES, errorMessage, TikvError } from "../base/index.js";

/** 130 and 143 stand for a second SIGINT or SIGTERM, which ends a stop that is under way. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** Returns the line that tells `error`: what, where, and what to do unless the message says so. */
export function failureLine(error: unknown): string {
  const message = errorMessage(error).split("\n", 1)[0] as string;
  if (!(error instanceof TikvError) || message.includes(";")) return message;
  return `${message}; ${ERROR_CODES[error.code].remedy}`;
}

/** Prints the failure and exits 1. A bug of this program also prints where it happened. */
export function exitFailed(error: unknown): never {
  console.error(`rutile: ${failureLine(error)}`);
  const isBug = error instanceof AssertionError || error instanceof TypeError;
  if (isBug && error.stack !== undefined) console.error(error.stack);
  process.exit(EXIT.failed);
}
