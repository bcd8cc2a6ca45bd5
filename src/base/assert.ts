/**
 * Assertions. They stay on in production: a broken invariant stops the process before it can
 * spread to disk or to a client. Expected failures are returned as values, never asserted.
 */

/** A bug in this program; never the result of bad input. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws AssertionError unless `condition` holds. `message` states the invariant. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch that the types rule out. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
