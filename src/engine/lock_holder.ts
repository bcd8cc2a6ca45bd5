/**
 * Names the process that holds the lock of a data directory. For the error message only: RocksDB's
 * LOCK decides, a pid is information.
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { TikvError } from "../base/index.js";

/** Returns the pid that holds RocksDB's LOCK in `directory`; undefined where the system hides it. */
export function lockHolder(directory: string): number | undefined {
  try {
    const inode = statSync(join(directory, "LOCK")).ino;
    for (const line of readFileSync("/proc/locks", "utf8").split("\n")) {
      // "1: POSIX  ADVISORY  WRITE 4711 08:01:123456 0 EOF"
      const match = /:\s+\S+\s+\S+\s+WRITE\s+(\d+)\s+\S+:\S+:(\d+)\s/.exec(line);
      if (match !== null && Number(match[2]) === inode) return Number(match[1]);
    }
  } catch {
    return undefined;
  }
  return undefined;
}

/** Returns RUTILE:Engine:Locked with the directory and, where known, the pid. */
export function lockedError(directory: string, cause?: unknown): TikvError {
  const pid = lockHolder(directory);
  const holder = pid === undefined ? "another process" : `process ${pid}`;
  const text = `${directory} is open in ${holder}; stop it or choose another --data-dir`;
  return new TikvError("RUTILE:Engine:Locked", text, { cause });
}
