/** Waiting for a state that comes about by itself. */
import { ClusterError } from "./options.js";

/** Between two questions. */
export const POLL_MS = 50;

/**
 * Asks `check` until it returns undefined. Throws ClusterError after `limitMs`, with the last text that
 * `check` returned: what was still missing.
 */
export async function until(
  limitMs: number,
  what: string,
  check: () => Promise<string | undefined>,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const missing = await check();
    if (missing === undefined) return;
    if (performance.now() > deadline) {
      throw new ClusterError(`${what}: not within ${limitMs} ms: ${missing}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
