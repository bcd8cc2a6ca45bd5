/**
 * The marker file of a data directory: names the on-disk format and the version that wrote it, so
 * that a directory of another format, or of another program, is refused before RocksDB touches it.
 *
 *   rutile-engine-format 1
 *   written-by 0.1.0
 *
 * PERSISTED: the file's name and both lines.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { errorMessage, TikvError, VERSION } from "../base/index.js";

export const FORMAT_FILE = "RUTILE_FORMAT";
/** CF prefixes in one RocksDB column family; CRC32c, table format 4, Snappy. */
export const FORMAT_VERSION = 1;
/** RocksDB's own file, present in every directory that it has opened. */
const ROCKSDB_FILE = "CURRENT";

/**
 * Creates the directory if needed and checks or writes its marker. Errs with TikvError:
 * RUTILE:Engine:Format for a format that this version does not know, and for a RocksDB directory
 * without a marker; RUTILE:Engine:Corruption for a damaged marker; RUTILE:Engine:Io.
 */
export function prepareDirectory(path: string): void {
  let marker: string | undefined;
  let hasData: boolean;
  try {
    makeDirectory(path);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    hasData = existsSync(join(path, ROCKSDB_FILE));
    marker = readMarker(path);
    if (marker === undefined && !hasData) {
      writeMarker(path);
      return;
    }
  } catch (error) {
    const text = `${path} cannot be used as a data directory: ${errorMessage(error)}`;
    throw new TikvError("RUTILE:Engine:Io", text, { cause: error });
  }
  if (marker === undefined) {
    const text = `${path} holds a RocksDB database that Rutile did not write (no ${FORMAT_FILE})`;
    throw new TikvError("RUTILE:Engine:Format", text);
  }
  checkMarker(path, marker);
}

/**
 * Creates a directory and its parents. Not by `recursive: true`: that never returns where a parent
 * exists but refuses with ENOENT, as /proc does.
 */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && statSync(path).isDirectory()) return;
    const parent = dirname(path);
    if (code !== "ENOENT" || parent === path || existsSync(parent)) throw error;
    makeDirectory(parent);
    mkdirSync(path);
  }
}

function checkMarker(path: string, marker: string): void {
  const match = /^rutile-engine-format (\d+)\nwritten-by (\S+)\n$/.exec(marker);
  if (match === null) {
    const text = `${join(path, FORMAT_FILE)} is damaged: it does not name a format`;
    throw new TikvError("RUTILE:Engine:Corruption", text);
  }
  if (Number(match[1]) !== FORMAT_VERSION) {
    throw new TikvError(
      "RUTILE:Engine:Format",
      `${path} has format ${match[1]}, written by v${match[2]}; ` +
        `this is v${VERSION}, which knows format ${FORMAT_VERSION}`,
    );
  }
}

function readMarker(path: string): string | undefined {
  try {
    return readFileSync(join(path, FORMAT_FILE), "latin1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes the marker so that a crash leaves it whole or absent. */
function writeMarker(path: string): void {
  const temporary = join(path, `${FORMAT_FILE}.tmp`);
  const file = openSync(temporary, "w");
  try {
    writeSync(file, `rutile-engine-format ${FORMAT_VERSION}\nwritten-by ${VERSION}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, join(path, FORMAT_FILE));
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
