/** Opens the engine that the configuration names. The only place that chooses a binding. */
import { mkdirSync } from "node:fs";
import { assert, errorMessage, TikvError } from "../base/index.js";
import { openMemoryEngine } from "./memory.js";
import { openRocksdbEngine } from "./rocksdb.js";
import type { Engine, EngineOptions } from "./types.js";

/**
 * Returns an open engine. Creates the directory if it is missing.
 * Errs with TikvError: RUTILE:Engine:Locked, Corruption, Format, Unavailable or Io.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  assert(options.path !== "" || options.binding === "memory", "an engine on disk has a directory");
  if (options.binding === "memory") return openMemoryEngine(options.onFatal);
  makeDirectory(options.path);
  return openRocksdbEngine(options);
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    const text = `cannot create the data directory ${path}: ${errorMessage(error)}`;
    throw new TikvError("RUTILE:Engine:Io", text, { cause: error });
  }
}
