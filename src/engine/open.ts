/**
 * Opens the engine that the configuration names. The only place that chooses a binding. The library
 * of a binding is loaded only when it is chosen: a process with both RocksDBs loaded aborts.
 */
import { assert, TikvError } from "../base/index.js";
import { prepareDirectory } from "./format.js";
import { openLibrocksdbEngine } from "./librocksdb.js";
import { librocksdbPresent } from "./librocksdb_api.js";
import { lockedError, lockHolder } from "./lock_holder.js";
import { openMemoryEngine } from "./memory.js";
import { openRocksdbEngine } from "./rocksdb.js";
import type { Engine, EngineBinding, EngineOptions } from "./types.js";

/**
 * Returns an open engine. Creates the directory if it is missing.
 * Errs with TikvError: RUTILE:Engine:Locked, Corruption, Format, Unavailable or Io.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const binding = chooseBinding(options.binding);
  if (binding === "memory") return openMemoryEngine(options.onFatal);
  assert(options.path !== "", "an engine on disk has a directory");
  prepareDirectory(options.path);
  try {
    return await (binding === "librocksdb"
      ? openLibrocksdbEngine(options)
      : openRocksdbEngine(options));
  } catch (error) {
    // The files of a running process change while the check reads them.
    const looksDamaged = error instanceof TikvError && error.code === "RUTILE:Engine:Corruption";
    if (looksDamaged && lockHolder(options.path) !== undefined) {
      throw lockedError(options.path, error);
    }
    throw error;
  }
}

/** Returns the binding that "auto" stands for on this machine. */
function chooseBinding(binding: EngineOptions["binding"]): EngineBinding {
  if (binding !== "auto") return binding;
  return librocksdbPresent() ? "librocksdb" : "rocksdb";
}
