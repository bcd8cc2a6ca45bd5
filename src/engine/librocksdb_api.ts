/**
 * The C functions of librocksdb that this project calls, loaded through koffi. The only importer of
 * koffi. All pointers cross as Numbers: user-space addresses stay below 2^53, and a Number costs no
 * allocation where a BigInt does (about 50 ns a call).
 * Not here: anything that knows keys, batches or the engine. Hot path.
 */
import { readFileSync } from "node:fs";
import koffi from "koffi";
import { TikvError } from "../base/index.js";

const POINTER = "uintptr_t";
const SIZE = "size_t";
const BYTE = "uint8_t";
const INT = "int";
const U64 = "uint64_t";
const TEXT = "const char *";

type Signature = readonly [result: string, ...parameters: readonly string[]];

const LIBROCKSDB = {
  rocksdb_open: [POINTER, POINTER, TEXT, POINTER],
  rocksdb_close: ["void", POINTER],
  rocksdb_free: ["void", POINTER],
  rocksdb_cancel_all_background_work: ["void", POINTER, BYTE],
  rocksdb_get: [POINTER, POINTER, POINTER, POINTER, SIZE, POINTER, POINTER],
  rocksdb_multi_get: ["void", POINTER, POINTER, SIZE, POINTER, POINTER, POINTER, POINTER, POINTER],
  rocksdb_write: ["void", POINTER, POINTER, POINTER, POINTER],
  rocksdb_writebatch_create_from: [POINTER, "const void *", SIZE],
  rocksdb_writebatch_destroy: ["void", POINTER],
  rocksdb_flush_wal: ["void", POINTER, BYTE, POINTER],
  rocksdb_create_snapshot: [POINTER, POINTER],
  rocksdb_release_snapshot: ["void", POINTER, POINTER],
  rocksdb_create_iterator: [POINTER, POINTER, POINTER],
  rocksdb_iter_destroy: ["void", POINTER],
  rocksdb_iter_valid: [BYTE, POINTER],
  rocksdb_iter_seek_to_first: ["void", POINTER],
  rocksdb_iter_seek_to_last: ["void", POINTER],
  rocksdb_iter_seek: ["void", POINTER, POINTER, SIZE],
  rocksdb_iter_seek_for_prev: ["void", POINTER, POINTER, SIZE],
  rocksdb_iter_next: ["void", POINTER],
  rocksdb_iter_prev: ["void", POINTER],
  rocksdb_iter_key: [POINTER, POINTER, POINTER],
  rocksdb_iter_value: [POINTER, POINTER, POINTER],
  rocksdb_iter_get_error: ["void", POINTER, POINTER],
  rocksdb_approximate_sizes: [
    "void",
    POINTER,
    INT,
    POINTER,
    POINTER,
    POINTER,
    POINTER,
    POINTER,
    POINTER,
  ],
  rocksdb_property_value: [POINTER, POINTER, TEXT],
  rocksdb_compact_range: ["void", POINTER, POINTER, SIZE, POINTER, SIZE],
  rocksdb_readoptions_create: [POINTER],
  rocksdb_readoptions_destroy: ["void", POINTER],
  rocksdb_readoptions_set_snapshot: ["void", POINTER, POINTER],
  rocksdb_readoptions_set_fill_cache: ["void", POINTER, BYTE],
  rocksdb_readoptions_set_max_skippable_internal_keys: ["void", POINTER, U64],
  rocksdb_readoptions_set_iterate_lower_bound: ["void", POINTER, POINTER, SIZE],
  rocksdb_readoptions_set_iterate_upper_bound: ["void", POINTER, POINTER, SIZE],
  rocksdb_writeoptions_create: [POINTER],
  rocksdb_writeoptions_destroy: ["void", POINTER],
  rocksdb_writeoptions_set_sync: ["void", POINTER, BYTE],
  rocksdb_options_create: [POINTER],
  rocksdb_options_destroy: ["void", POINTER],
  rocksdb_options_set_create_if_missing: ["void", POINTER, BYTE],
  rocksdb_options_set_paranoid_checks: ["void", POINTER, BYTE],
  rocksdb_options_set_wal_recovery_mode: ["void", POINTER, INT],
  rocksdb_options_set_compression: ["void", POINTER, INT],
  rocksdb_options_set_write_buffer_size: ["void", POINTER, SIZE],
  rocksdb_options_set_max_write_buffer_number: ["void", POINTER, INT],
  rocksdb_options_set_max_background_jobs: ["void", POINTER, INT],
  rocksdb_options_set_max_open_files: ["void", POINTER, INT],
  rocksdb_options_set_bytes_per_sync: ["void", POINTER, U64],
  rocksdb_options_set_info_log_level: ["void", POINTER, INT],
  rocksdb_options_set_keep_log_file_num: ["void", POINTER, SIZE],
  rocksdb_options_set_max_log_file_size: ["void", POINTER, SIZE],
  rocksdb_options_set_stats_dump_period_sec: ["void", POINTER, "unsigned int"],
  rocksdb_options_set_stats_persist_period_sec: ["void", POINTER, "unsigned int"],
  rocksdb_options_set_block_based_table_factory: ["void", POINTER, POINTER],
  rocksdb_block_based_options_create: [POINTER],
  rocksdb_block_based_options_destroy: ["void", POINTER],
  rocksdb_block_based_options_set_checksum: ["void", POINTER, "int8_t"],
  rocksdb_block_based_options_set_format_version: ["void", POINTER, INT],
  rocksdb_block_based_options_set_filter_policy: ["void", POINTER, POINTER],
  rocksdb_block_based_options_set_block_cache: ["void", POINTER, POINTER],
  rocksdb_filterpolicy_create_bloom_full: [POINTER, "double"],
  rocksdb_cache_create_lru: [POINTER, SIZE],
  rocksdb_cache_destroy: ["void", POINTER],
} as const satisfies Record<string, Signature>;

const LIBC = {
  memcpy: [POINTER, POINTER, POINTER, SIZE],
  strnlen: [SIZE, POINTER, SIZE],
} as const satisfies Record<string, Signature>;

export type NativeArgument = number | string | Uint8Array;

/** A C function. Byte arrays are passed by address, for the time of a synchronous call only. */
export interface NativeCall {
  (...args: NativeArgument[]): number;
  /** Runs on koffi's thread pool; pass no arrays. */
  async(...args: (number | string | ((error: Error | null, result: number) => void))[]): void;
}

export type Librocksdb = Readonly<
  Record<keyof typeof LIBROCKSDB | keyof typeof LIBC, NativeCall>
> & {
  /** As far as the system tells, "7.8.3"; else the name that loaded. */
  readonly version: string;
};

/** Names to try, best known first. The versions that Debian, Ubuntu and Fedora ship since 7.0. */
const LIBRARY_NAMES: readonly string[] =
  process.platform === "darwin"
    ? ["librocksdb.dylib", "/opt/homebrew/lib/librocksdb.dylib", "/usr/local/lib/librocksdb.dylib"]
    : [...["7.8", "8.9", "9.10", "9.11", "10.2", "10.4", "10.5"], ...["7", "8", "9", "10"]]
        .map((version) => `librocksdb.so.${version}`)
        .concat("librocksdb.so");
const LIBC_NAME = process.platform === "darwin" ? "libSystem.B.dylib" : null;

let loaded: Librocksdb | TikvError | undefined;

/**
 * Returns the functions; loads the library on the first call. Err RUTILE:Engine:Unavailable when no
 * library is found or one of its functions is missing.
 */
export function loadLibrocksdb(): Librocksdb {
  if (loaded === undefined) {
    try {
      loaded = load();
    } catch (error) {
      if (!(error instanceof TikvError)) throw error;
      loaded = error;
    }
  }
  if (loaded instanceof TikvError) throw loaded;
  return loaded;
}

/** Returns whether `loadLibrocksdb` succeeds. */
export function librocksdbPresent(): boolean {
  try {
    loadLibrocksdb();
    return true;
  } catch {
    return false;
  }
}

function load(): Librocksdb {
  const failures: string[] = [];
  for (const name of LIBRARY_NAMES) {
    try {
      return bind(name);
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message}`);
    }
  }
  const remedy = "install it (Debian: apt-get install librocksdb7.8) or set engine.binding";
  throw new TikvError(
    "RUTILE:Engine:Unavailable",
    `no librocksdb of version 7 or newer loads; ${remedy}; tried ${LIBRARY_NAMES.join(", ")}`,
    { cause: new Error(failures.join("\n")) },
  );
}

function bind(name: string): Librocksdb {
  const functions: Record<string, NativeCall> = {};
  const declare = (
    library: ReturnType<typeof koffi.load>,
    table: Readonly<Record<string, Signature>>,
  ): void => {
    for (const [symbol, [result, ...parameters]] of Object.entries(table)) {
      functions[symbol] = library.func(symbol, result, [...parameters]) as NativeCall;
    }
  };
  declare(koffi.load(name), LIBROCKSDB);
  declare(koffi.load(LIBC_NAME), LIBC);
  return { ...functions, version: versionOf(name) } as Librocksdb;
}

/** The file that the loader mapped tells more than the name that was asked for. */
function versionOf(name: string): string {
  try {
    const maps = readFileSync("/proc/self/maps", "utf8");
    const found = /librocksdb\.so\.([0-9.]+)$/m.exec(maps)?.[1];
    if (found !== undefined) return found;
  } catch {
    return name;
  }
  return name;
}

/** Returns the address of the first byte; valid while the buffer lives and is not grown. */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

/** Memory at a fixed address: an ArrayBuffer's bytes never move, those of a small array may. */
export interface FixedBlock {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
}

/** Allocates at least `length` zeroed bytes; they live as long as the object that is returned. */
export function allocateFixed(length: number): FixedBlock {
  const buffer = new ArrayBuffer((length + 7) & ~7);
  const bytes = new Uint8Array(buffer);
  return { address: addressOf(bytes), bytes, words: new Uint32Array(buffer) };
}
