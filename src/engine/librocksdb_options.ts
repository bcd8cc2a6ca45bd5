/**
 * How librocksdb opens a directory. The table format is pinned to what RocksDB 6.17 of the npm
 * binding reads, so that either binding opens what the other wrote.
 */
import type { Librocksdb } from "./librocksdb_api.js";
import type { EngineOptions } from "./types.js";

// PERSISTED: numbers of RocksDB's enums.
const CHECKSUM_CRC32C = 1;
const COMPRESSION_SNAPPY = 1;
/** 5 is the default of 7.8; 6.17 opens such a directory, then fails on every get. */
const FORMAT_VERSION = 4;
/**
 * kTolerateCorruptedTailRecords: a torn record at the end of the last log is what a crash leaves,
 * damage before the end refuses to open. The default mode would silently drop all after the damage.
 */
const WAL_RECOVERY_TOLERATE_TAIL = 0;
const INFO_LOG_LEVEL_WARN = 2;

const BLOOM_BITS_PER_KEY = 10;
const MEMTABLES_MAX = 4;
/** Flushes and compactions at a time. A guess for small hosts; write stalls would change it. */
const BACKGROUND_JOBS_MAX = 3;
/** Table files that stay open; the process limit is often 1,024 and sockets need the rest. */
const OPEN_FILES_MAX = 512;
const BYTES_PER_SYNC = 1 << 20;
const INFO_LOGS_MAX = 5;
const INFO_LOG_BYTES_MAX = 10 << 20;

/** Calls `open` with native options made of `options`, and frees them after it settled. */
export async function withNativeOptions<T>(
  api: Librocksdb,
  options: EngineOptions,
  open: (nativeOptions: number) => Promise<T>,
): Promise<T> {
  const table = api.rocksdb_block_based_options_create();
  api.rocksdb_block_based_options_set_checksum(table, CHECKSUM_CRC32C);
  api.rocksdb_block_based_options_set_format_version(table, FORMAT_VERSION);
  const bloom = api.rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY);
  // The table options own the policy from here on.
  api.rocksdb_block_based_options_set_filter_policy(table, bloom);
  const cache = api.rocksdb_cache_create_lru(options.blockCacheBytes);
  api.rocksdb_block_based_options_set_block_cache(table, cache);

  const native = api.rocksdb_options_create();
  api.rocksdb_options_set_create_if_missing(native, 1);
  api.rocksdb_options_set_paranoid_checks(native, 1);
  api.rocksdb_options_set_wal_recovery_mode(native, WAL_RECOVERY_TOLERATE_TAIL);
  api.rocksdb_options_set_compression(native, COMPRESSION_SNAPPY);
  api.rocksdb_options_set_write_buffer_size(native, options.writeBufferBytes);
  api.rocksdb_options_set_max_write_buffer_number(native, MEMTABLES_MAX);
  api.rocksdb_options_set_max_background_jobs(native, BACKGROUND_JOBS_MAX);
  api.rocksdb_options_set_max_open_files(native, OPEN_FILES_MAX);
  api.rocksdb_options_set_bytes_per_sync(native, BYTES_PER_SYNC);
  api.rocksdb_options_set_info_log_level(native, INFO_LOG_LEVEL_WARN);
  api.rocksdb_options_set_keep_log_file_num(native, INFO_LOGS_MAX);
  api.rocksdb_options_set_max_log_file_size(native, INFO_LOG_BYTES_MAX);
  // Statistics threads would run on while the process exits.
  api.rocksdb_options_set_stats_dump_period_sec(native, 0);
  api.rocksdb_options_set_stats_persist_period_sec(native, 0);
  api.rocksdb_options_set_block_based_table_factory(native, table);
  try {
    return await open(native);
  } finally {
    api.rocksdb_options_destroy(native);
    api.rocksdb_block_based_options_destroy(table);
    api.rocksdb_cache_destroy(cache);
  }
}
