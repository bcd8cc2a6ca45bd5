/**
 * Finds the binary of the npm `rocksdb` binding and makes it loadable.
 *
 * The prebuilt Linux binary was compiled against the old layout of std::string. It carries its own
 * instances of std::regex, and recent Node programs export functions of the same names for the new
 * layout. The dynamic linker prefers the program's, and the process aborts with std::bad_alloc while
 * the library is still loading (nodejs/node#52436, Level/rocksdb#228; Node 22 and 24 here). So a copy
 * is loaded in which these symbols are hidden: one byte each in the ELF symbol table, after which the
 * library's references bind to its own functions. Nothing else changes.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { errorMessage, TikvError } from "../base/index.js";
import { damagedBinary, hideSymbols } from "./elf.js";

/** build/native, beside build/js: made on first use, removed with the build. */
const CACHE = fileURLToPath(new URL("../../../native", import.meta.url));
const CONFLICTING = /regex|St8__detail/;

interface NodeGypBuild {
  /** Returns the file that would be loaded for the package in `directory`. */
  path(directory: string): string;
}

/**
 * Returns the file to load with `loadBinding`. Err RUTILE:Engine:Unavailable when there is no build
 * for this platform.
 */
export function bindingFile(): string {
  try {
    const require = createRequire(import.meta.url);
    const packageDirectory = dirname(require.resolve("rocksdb/package.json"));
    const nodeGypBuild = createRequire(join(packageDirectory, "binding.js"))(
      "node-gyp-build",
    ) as NodeGypBuild;
    const file = nodeGypBuild.path(packageDirectory);
    // A binary compiled on this machine matches its Node.
    const prebuilt = process.platform === "linux" && file.includes("prebuilds");
    return prebuilt ? hiddenCopy(file) : file;
  } catch (error) {
    throw unavailable(error);
  }
}

/** Loads `file` into this thread and returns its exports. Err RUTILE:Engine:Unavailable. */
export function loadBinding(file: string): unknown {
  const module: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(module, file);
  } catch (error) {
    throw unavailable(error);
  }
  return module.exports;
}

/** Returns a copy of `file` without the conflicting symbols, from the cache if it is there. */
function hiddenCopy(file: string): string {
  const bytes = readFileSync(file);
  const copy = join(CACHE, `rocksdb-${process.arch}-${bytes.length}.node`);
  if (existsSync(copy)) return copy;
  if (hideSymbols(bytes, (name) => CONFLICTING.test(name)) === 0) throw damagedBinary("no symbols");
  try {
    mkdirSync(CACHE, { recursive: true });
    const temporary = `${copy}.${process.pid}`;
    writeFileSync(temporary, bytes, { mode: 0o755 });
    renameSync(temporary, copy);
    return copy;
  } catch {
    // An installation that cannot be written: a directory that only this user can enter.
    const own = join(mkdtempSync(join(tmpdir(), "rutile-native-")), "rocksdb.node");
    writeFileSync(own, bytes, { mode: 0o755 });
    return own;
  }
}

function unavailable(error: unknown): TikvError {
  const text = `the npm rocksdb binding cannot be loaded: ${errorMessage(error)}`;
  return new TikvError("RUTILE:Engine:Unavailable", text, { cause: error });
}
