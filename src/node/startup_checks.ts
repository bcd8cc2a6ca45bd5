/** What must hold before anything starts: Node's version, file limits, a data directory to write to. */
import { accessSync, closeSync, constants, openSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, type Logger, TikvError } from "../base/index.js";
import { makeDir } from "./make_dir.js";

/** Open files below this may not suffice for RocksDB and connections. */
const OPEN_FILES_MIN = 4096;

/** Returns the soft limit of open files, or undefined where /proc does not tell. */
export function openFilesLimit(): number | undefined {
  try {
    const row = /^Max open files\s+(\d+|unlimited)/m.exec(
      readFileSync("/proc/self/limits", "utf8"),
    );
    if (row === null) return undefined;
    return row[1] === "unlimited" ? Number.POSITIVE_INFINITY : Number(row[1]);
  } catch {
    return undefined;
  }
}

/** Warns when the process may open too few files. */
export function warnOfLimits(logger: Logger): void {
  const limit = openFilesLimit();
  if (limit === undefined || limit >= OPEN_FILES_MIN) return;
  logger.warn("few open files are allowed; raise it with ulimit -n", {
    limit,
    wanted: OPEN_FILES_MIN,
  });
}

/** Creates `path` if missing and writes into it. Errs with RUTILE:Engine:Io, naming path and flag. */
export function checkDataDir(path: string): void {
  const probe = join(path, `.write-probe-${process.pid}`);
  try {
    makeDir(path);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    closeSync(openSync(probe, "w"));
    unlinkSync(probe);
  } catch (cause) {
    const why = `cannot use the data directory ${path}: ${errorMessage(cause)}`;
    const text = `${why}; make it writable, or choose another --data-dir`;
    throw new TikvError("RUTILE:Engine:Io", text, { cause });
  }
}
