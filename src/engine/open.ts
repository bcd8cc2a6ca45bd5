/** Opens the engine that the configuration names. The only place that chooses a binding. */
import { assert } from "../base/index.js";
import { openMemoryEngine } from "./memory.js";
import type { Engine, EngineOptions } from "./types.js";

/**
 * Returns an open engine. Creates the directory if it is missing.
 * Errs with TikvError: RUTILE:Engine:Locked, Corruption, Format, Unavailable or Io.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  assert(options.path !== "" || options.binding === "memory", "an engine on disk has a directory");
  return openMemoryEngine(options.onFatal);
}
