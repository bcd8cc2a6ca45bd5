/**
 * What is checked before RocksDB opens a directory, because RocksDB itself would go on with a hole,
 * an older state or an empty database. Reads files only; run it while no other process has the
 * directory open. Not here: the format marker and the lock.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ByteEnd } from "./byte_reader.js";
import { damaged } from "./damage.js";
import { currentManifest, type Manifest, readManifest } from "./manifest_check.js";
import { checkSeen, SEEN_FILE } from "./manifest_seen.js";
import { checkTable } from "./table_check.js";
import { checkWals, type WalState } from "./wal_check.js";

export interface DirectoryCheckOptions {
  /** Whether all blocks of all table files are read and verified. */
  readonly tables: boolean;
}

export interface DirectoryState {
  readonly manifest: Manifest;
  readonly wal: WalState;
}

/**
 * Checks a RocksDB directory; undefined when there is no database in it yet. Throws
 * RUTILE:Engine:Corruption, naming the file, the offset and what is wrong.
 */
export function checkDirectory(
  directory: string,
  options: DirectoryCheckOptions,
): DirectoryState | undefined {
  if (!existsSync(directory)) return undefined;
  const names = readdirSync(directory);
  if (!names.includes("CURRENT")) {
    refuseWithoutCurrent(directory, names);
    return undefined;
  }
  const name = currentManifest(directory);
  const manifest = readManifest(directory, name);
  checkSeen(directory, name, manifest.sizeBytes);
  checkTables(directory, manifest, options);
  const logs = names
    .map((file) => /^(\d+)\.log$/.exec(file)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .filter((number) => number >= manifest.logNumber)
    .sort((a, b) => a - b);
  return { manifest, wal: checkWals(directory, logs, manifest.lastSequence) };
}

/**
 * Without CURRENT RocksDB would create an empty database over the files that are there. A first
 * start that ended before CURRENT was written leaves neither tables, logs nor a note.
 */
function refuseWithoutCurrent(directory: string, names: readonly string[]): void {
  const left = names.find((file) => file === SEEN_FILE || /^\d+\.(sst|log)$/.test(file));
  if (left === undefined) return;
  throw damaged(join(directory, "CURRENT"), undefined, `it is missing, but ${left} is there`);
}

function checkTables(directory: string, manifest: Manifest, options: DirectoryCheckOptions): void {
  for (const [number, sizeBytes] of manifest.tables) {
    const file = join(directory, `${String(number).padStart(6, "0")}.sst`);
    if (!existsSync(file)) throw damaged(file, undefined, "the MANIFEST lists it, it is missing");
    const found = statSync(file).size;
    if (found !== sizeBytes) {
      throw damaged(file, undefined, `it has ${found} bytes, the MANIFEST says ${sizeBytes}`);
    }
    if (!options.tables) continue;
    try {
      checkTable(file);
    } catch (error) {
      if (error instanceof ByteEnd) throw damaged(file, undefined, error.message);
      throw error;
    }
  }
}
