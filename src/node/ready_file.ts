/** The file of --ready-file: what was chosen, written once requests are served, whole or not at all. */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { errorMessage, TikvError } from "../base/index.js";

/** Addresses as clients use them; what a role does not have is null. */
export interface ReadyInfo {
  readonly pd: string | null;
  readonly store: string | null;
  readonly status: string | null;
  /** Where the store's gRPC listens; other than `store` behind a proxy or with port forwarding. */
  readonly listen: string | null;
  /** Empty with --memory. */
  readonly data_dir: string;
  readonly engine: string | null;
}

/** Removes a file that an earlier process left, so that nobody reads it as news. */
export function clearReadyFile(path: string): void {
  rmSync(path, { force: true });
}

/** Writes `info` as JSON. Errs with RUTILE:Start:ReadyFile. */
export function writeReadyFile(path: string, info: ReadyInfo): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, `${JSON.stringify(info)}\n`);
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    const text = `cannot write the ready file ${path}: ${errorMessage(cause)}`;
    throw new TikvError("RUTILE:Start:ReadyFile", text, { cause });
  }
}
