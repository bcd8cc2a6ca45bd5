/**
 * Expected outcomes as values, and the base class of typed errors. `throw` is for the environment
 * (TikvError) and for bugs (AssertionError); outcomes that a caller must expect are returned.
 */
import type { ErrorCode } from "./error_codes.js";

export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

/** Returns a successful Result. */
export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** Returns a failed Result. */
export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

/**
 * A typed failure. Identity is `code`, never the message; the message tells a person what is wrong,
 * where, and what to do.
 */
export class TikvError extends Error {
  override readonly name: string = "TikvError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Returns the message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
