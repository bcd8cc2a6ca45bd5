/** Temporary directories that vanish with the test process. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MEMORY_FOLDER = "/dev/shm";

const made: string[] = [];

process.on("exit", () => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** Returns a new empty directory, removed when the process exits. */
export function tmpDir(label = "test"): string {
  return make(tmpdir(), label);
}

/** As tmpDir, in memory where the system has such a place: for tests that do not need the disk. */
export function tmpDirInMemory(label = "test"): string {
  return make(existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir(), label);
}

function make(parent: string, label: string): string {
  const path = mkdtempSync(join(parent, `rutile-${label}-`));
  made.push(path);
  return path;
}
