/** Waiting for a condition instead of sleeping. */

const POLL_MS = 5;
/** Limits below this are guesses for an idle machine; beside other tests, it may take far longer. */
const GUESS_MAX_MS = 10_000;
const PATIENCE = 6;

/**
 * Resolves with the first value of `condition` that is neither false, null nor undefined.
 * Rejects after `limitMs` (more, if short), naming `what` was awaited.
 */
export async function within<T>(
  limitMs: number,
  what: string,
  condition: () => T | Promise<T>,
): Promise<NonNullable<Exclude<T, false>>> {
  const patientMs = limitMs < GUESS_MAX_MS ? limitMs * PATIENCE : limitMs;
  const deadline = process.hrtime.bigint() + BigInt(patientMs) * 1_000_000n;
  for (;;) {
    const value = await condition();
    if (value !== false && value !== null && value !== undefined) {
      return value as NonNullable<Exclude<T, false>>;
    }
    if (process.hrtime.bigint() > deadline) throw new Error(`not within ${patientMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
