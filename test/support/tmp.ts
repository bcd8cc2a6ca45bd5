/** Temporary directories that vanish with the test process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const made: string[] = [];

process.on("exit", () => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** Returns a new empty directory, removed when the process exits. */
export function tmpDir(label = "test"): string {
  const path = mkdtempSync(join(tmpdir(), `rutile-${label}-`));
  made.push(path);
  return path;
}
