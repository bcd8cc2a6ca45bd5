/** The oldest Node.js that this program runs on; no imports, for it is the first thing to run. */

const OLDEST = [20, 20, 2] as const;

/**
 * Returns why `version` ("20.11.1") is too old, or undefined. Older ones leak HTTP/2 sessions that
 * a client breaks on purpose (CVE-2026-21714).
 */
export function nodeProblem(version: string): string | undefined {
  const parts = version.split(".").map((part) => Number.parseInt(part, 10));
  for (const [i, oldest] of OLDEST.entries()) {
    const part = parts[i] ?? 0;
    if (part > oldest) return undefined;
    if (part < oldest) {
      const needed = OLDEST.join(".");
      return `Node.js ${version} is too old (known HTTP/2 faults); install ${needed} or newer`;
    }
  }
  return undefined;
}
