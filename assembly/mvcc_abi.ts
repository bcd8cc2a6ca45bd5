/**
 * Layouts of the MVCC kernels (mvcc_scan.ts). Integer literals only: compiled by asc and by tsc.
 *
 * A *block* is a table of entries as an engine iterator delivers them (engine/types.ts ArenaTake),
 * and the bytes behind it. Keys carry the CF prefix byte and the data prefix:
 *
 *   write CF   'w' 'z' · encoded user key · NOT(commit_ts), big-endian      value: a write record
 *   lock CF    'l' 'z' · encoded user key                                  value: a lock record
 *
 * "Key" in rows and items is the encoded user key alone.
 */

/** Row of a block: key pointer, key length, value pointer, value length; u32 each. */
export const ENTRY_ROW_BYTES = 16;
export const ENTRY_ROW_KEY_PTR = 0;
export const ENTRY_ROW_KEY_LENGTH = 4;
export const ENTRY_ROW_VALUE_PTR = 8;
export const ENTRY_ROW_VALUE_LENGTH = 12;

/** CF prefix and data prefix in front of an encoded user key. PERSISTED: do not renumber. */
export const MVCC_PREFIX_BYTES = 2;
export const CF_DEFAULT_PREFIX = 0x64;
export const DATA_KEY_PREFIX = 0x7a;

/*
 * Parameters of mvccScan and mvccPoint, 128 bytes, 8-byte aligned; u32 unless said.
 *
 *   +0   u64 read ts (scan)     +8   flags (MVCC_FLAG_)
 *   +12  bypass, +16 count      u64 table: transactions whose locks are passed
 *   +20  access, +24 count      u64 table: transactions whose locks are read as committed
 *   +28  writes, +32 count      block of the write CF
 *   +36  locks,  +40 count      scan: block of the lock CF. point: slice table, one row an item
 *                               (SLICE_ABSENT = no lock), or 0 = no locks at all
 *   +44  rows,   +48 capacity   output; point wants a row for every item
 *   +52  defaults               output: slice table of default-CF keys, a row for each of `rows`
 *   +56  out,    +60 out end    where these keys are built
 *   +64  skip,   +68 length     scan: key whose remaining entries are passed over; length 0 = none
 *   +72  items,  +76 count      point: MVCC_ITEM_ rows
 *   results
 *   +80  stop (MVCC_STOP_)      +84  rows done       +88  defaults done
 *   +92  writes done            +96  locks done      first entries that were not consumed
 *   +100 skip, +104 length      scan: give it to the next call
 *   +108 entries looked at      +112 damaged block: 0 write CF, 1 lock CF (with CORRUPT)
 */
export const MVCC_PARAMS_BYTES = 128;
export const MVCC_READ_TS = 0;
export const MVCC_FLAGS = 8;
export const MVCC_BYPASS = 12;
export const MVCC_BYPASS_COUNT = 16;
export const MVCC_ACCESS = 20;
export const MVCC_ACCESS_COUNT = 24;
export const MVCC_WRITES = 28;
export const MVCC_WRITES_COUNT = 32;
export const MVCC_LOCKS = 36;
export const MVCC_LOCKS_COUNT = 40;
export const MVCC_ROWS = 44;
export const MVCC_ROWS_CAPACITY = 48;
export const MVCC_DEFAULTS = 52;
export const MVCC_OUT = 56;
export const MVCC_OUT_END = 60;
export const MVCC_SKIP = 64;
export const MVCC_SKIP_LENGTH = 68;
export const MVCC_ITEMS = 72;
export const MVCC_ITEMS_COUNT = 76;
export const MVCC_STOP = 80;
export const MVCC_ROWS_DONE = 84;
export const MVCC_DEFAULTS_DONE = 88;
export const MVCC_WRITES_DONE = 92;
export const MVCC_LOCKS_DONE = 96;
export const MVCC_SKIP_NEXT = 100;
export const MVCC_SKIP_NEXT_LENGTH = 104;
export const MVCC_LOOKED_AT = 108;
export const MVCC_ERR_CF = 112;

/** Isolation, bits 0 and 1 of the flags. RC reads no locks. */
export const MVCC_ISOLATION_MASK = 3;
export const MVCC_SI = 0;
export const MVCC_RC = 1;
export const MVCC_RC_CHECK_TS = 2;
/** Values are not wanted: rows have no value and no default key. */
export const MVCC_FLAG_KEY_ONLY = 4;
/** Blocks are in descending order of keys. */
export const MVCC_FLAG_REVERSE = 8;
/** Nothing follows the write block in the range; so the versions of its last key are complete. */
export const MVCC_FLAG_WRITES_END = 16;
/** Nothing follows the lock block in the range. */
export const MVCC_FLAG_LOCKS_END = 32;
/** A read on a follower: at the newest timestamp even the lock of a primary blocks it. */
export const MVCC_FLAG_REPLICA_READ = 64;

/** Why mvccScan ended. */
export const MVCC_STOP_END = 0;
/** The range goes on: call again with more entries behind `writes done` and `locks done`. */
export const MVCC_STOP_WRITES = 1;
export const MVCC_STOP_LOCKS = 2;
/** All rows are in use. */
export const MVCC_STOP_ROWS = 3;
/** No room for a default key: HEADER_NEEDED says what it wants. */
export const MVCC_STOP_OUT = 4;

/*
 * Row, 40 bytes, 8-byte aligned:
 *   +0 outcome · +4 key, +8 length · +12 value, +16 length · +20 entries looked at
 *   +24 u64 commit ts of the version read, 0 for the value of a lock · +32 u64 its start ts
 */
export const MVCC_ROW_BYTES = 40;
export const MVCC_ROW_OUTCOME = 0;
export const MVCC_ROW_KEY_PTR = 4;
export const MVCC_ROW_KEY_LENGTH = 8;
export const MVCC_ROW_VALUE_PTR = 12;
export const MVCC_ROW_VALUE_LENGTH = 16;
export const MVCC_ROW_LOOKED_AT = 20;
export const MVCC_ROW_COMMIT_TS = 24;
export const MVCC_ROW_START_TS = 32;

/** Nothing is visible; mvccPoint alone makes such rows. */
export const MVCC_NONE = 0;
/** The value lies in the block. */
export const MVCC_VALUE = 1;
/** The value lies in the default CF under the key whose row in `defaults` is the value pointer. */
export const MVCC_DEFAULT = 2;
/** A lock blocks the read; the value is its record. */
export const MVCC_LOCKED = 3;
/** RcCheckTs found a lock; the value is its record. */
export const MVCC_CONFLICT_LOCK = 4;
/** RcCheckTs found a newer version: its commit ts and start ts. */
export const MVCC_CONFLICT_WRITE = 5;
/** mvccPoint: all entries of the item are newer, or locks and rollbacks; more are needed. */
export const MVCC_MORE = 6;
/** As MVCC_MORE, and the last record says that the data are at start ts, many versions below. */
export const MVCC_JUMP = 7;

/*
 * Item of mvccPoint, 24 bytes: +0 key · +4 length · +8 first entry · +12 entries, with
 * MVCC_ITEM_COMPLETE when no further version of the key exists · +16 u64 read ts.
 * Entries of another key end an item.
 */
export const MVCC_ITEM_BYTES = 24;
export const MVCC_ITEM_KEY_PTR = 0;
export const MVCC_ITEM_KEY_LENGTH = 4;
export const MVCC_ITEM_FIRST = 8;
export const MVCC_ITEM_COUNT = 12;
export const MVCC_ITEM_READ_TS = 16;
export const MVCC_ITEM_COMPLETE = 0x80000000;

/** From this distance on a reader goes to the version that last_change names (TiKV's SEEK_BOUND). */
export const MVCC_JUMP_VERSIONS_MIN = 8;
