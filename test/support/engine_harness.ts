/**
 * Opens the engine that RUTILE_ENGINE names (memory, rocksdb, librocksdb, fault); one binding a
 * process. "fault" is the memory engine behind the fault wrapper with no fault set.
 */
import { join } from "node:path";
import {
  ENGINE_SUPPORTS,
  type Engine,
  type EngineBinding,
  type EngineSupports,
  librocksdbPresent,
  MemoryDisk,
  openEngine,
  openMemoryEngine,
} from "../../src/engine/index.js";
import { requires } from "./requires.js";
import { tmpDir } from "./tmp.js";

const MIB = 1024 * 1024;

export interface EngineHarness {
  readonly binding: EngineBinding;
  readonly supports: EngineSupports;
  /** Returns a path that no engine has used. */
  newPath(): string;
  open(path: string, onFatal?: (error: Error) => void): Promise<Engine>;
}

function unexpectedFatal(error: Error): void {
  throw error;
}

/** Opens a directory with small caches, as tests do. */
export function openDiskEngine(
  binding: EngineBinding,
  path: string,
  onFatal: (error: Error) => void = unexpectedFatal,
): Promise<Engine> {
  const blockCacheBytes = 8 * MIB;
  return openEngine({ path, binding, blockCacheBytes, writeBufferBytes: 8 * MIB, onFatal });
}

/** Returns whether the library of `binding` is here; prints a SKIP line if not. */
export function bindingPresent(binding: EngineBinding): boolean {
  return binding !== "librocksdb" || requires("librocksdb", librocksdbPresent);
}

/** Returns the binding that RUTILE_ENGINE names. */
export function bindingOfEnvironment(): EngineBinding {
  const name = process.env.RUTILE_ENGINE ?? "memory";
  if (name === "memory" || name === "rocksdb" || name === "librocksdb") return name;
  throw new Error(`RUTILE_ENGINE=${name} is none of memory, rocksdb, librocksdb`);
}

/** Returns a harness over simulated disks; `wrap` may put an engine around each opened one. */
export function memoryHarness(
  wrap: (engine: Engine) => Engine = (engine) => engine,
): EngineHarness {
  const disks = new Map<string, MemoryDisk>();
  return {
    binding: "memory",
    supports: ENGINE_SUPPORTS.memory,
    newPath() {
      const path = `disk-${disks.size}`;
      disks.set(path, new MemoryDisk());
      return path;
    },
    async open(path, onFatal = unexpectedFatal) {
      return wrap(openMemoryEngine(onFatal, disks.get(path)));
    },
  };
}

/** Returns a harness over directories. */
export function diskHarness(binding: "rocksdb" | "librocksdb"): EngineHarness {
  const parent = tmpDir(`engine-${binding}`);
  let count = 0;
  return {
    binding,
    supports: ENGINE_SUPPORTS[binding],
    newPath: () => join(parent, `${count++}`),
    open: (path, onFatal) => openDiskEngine(binding, path, onFatal),
  };
}

/** Returns the harness of RUTILE_ENGINE, or undefined (with a SKIP line) when it cannot run here. */
export function harnessOfEnvironment(): EngineHarness | undefined {
  const binding = bindingOfEnvironment();
  if (!bindingPresent(binding)) return undefined;
  return binding === "memory" ? memoryHarness() : diskHarness(binding);
}
