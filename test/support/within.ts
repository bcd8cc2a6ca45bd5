/** Waiting for a condition instead of sleeping. */

const POLL_MS = 5;

/**
 * Resolves with the first value of `condition` that is neither false, null nor undefined.
 * Rejects after `limitMs`, naming `what` was awaited.
 */
export async function within<T>(
  limitMs: number,
  what: string,
  condition: () => T | Promise<T>,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = process.hrtime.bigint() + BigInt(limitMs) * 1_000_000n;
  for (;;) {
    const value = await condition();
    if (value !== false && value !== null && value !== undefined) {
      return value as NonNullable<Exclude<T, false>>;
    }
    if (process.hrtime.bigint() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
