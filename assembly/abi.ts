/**
 * The contract between host and kernels: addresses, record layouts, codes. Integer literals only,
 * because both asc and tsc compile this file.
 *
 * memory, grown once by the host before any address is taken:
 *
 *   0            0x10000      0x10100     in         out        scratch        size-64   size
 *   ┌────────────┬────────────┬───────────┬──────────┬──────────┬──────────────┬─────────┐
 *   │ static     │ HEADER     │ (unused)  │ IN       │ OUT      │ SCRATCH      │ slack   │
 *   └────────────┴────────────┴───────────┴──────────┴──────────┴──────────────┴─────────┘
 *
 * static   data segments of the kernels (tables); ends below HEADER_PTR, asserted at start.
 * slack    kernels may read, never write, up to SLACK_BYTES behind an item's last byte.
 *
 * Numbers are little-endian unless a format inside says otherwise. A *slice table* is `count` rows
 * of (u32 pointer, u32 length), 4-byte aligned; it is how kernels hand byte strings to each other
 * and to the engine (engine/types.ts ArenaGet) without moving them.
 */

/** Increase with every change of a layout or of an export's arguments. */
export const ABI_VERSION = 3;

/** Address of the header; no static data may reach it. */
export const HEADER_PTR = 0x10000;
export const HEADER_BYTES = 256;
/** First address that the host may give to a region. */
export const ARENA_PTR = 0x10100;
/** Bytes behind the last region that kernels may read. */
export const SLACK_BYTES = 64;

/** "RTL1" */
export const MAGIC = 0x314c5452;

/*
 * HEADER, u32 each: what init found, then what the last call left behind.
 *
 *   +0  magic   +4 abi version   +8 first address behind static data
 *   +24 out end: first byte behind the output of the last call
 *   +40 err item: index of the item that stopped the call
 *   +48 needed: bytes of output that the first unfinished item wants
 */
export const HEADER_MAGIC = 0x10000;
export const HEADER_ABI_VERSION = 0x10004;
export const HEADER_STATIC_END = 0x10008;
export const HEADER_OUT_END = 0x10018;
export const HEADER_ERR_ITEM = 0x10028;
export const HEADER_NEEDED = 0x10030;

/*
 * Return codes. >= 0: items done; fewer than asked means that the output is full: use what is
 * there, then call again from that item on.
 */
/** Not even one item fits; HEADER_NEEDED says how many bytes it wants. */
export const OUT_FULL = -1;
/** The item HEADER_ERR_ITEM is malformed; items before it are done. */
export const CORRUPT = -2;

/** Slice table row. */
export const SLICE_BYTES = 8;
/** Length that means "absent" in a slice table. */
export const SLICE_ABSENT = 0xffffffff;

/** Memcomparable groups: 8 bytes of data and a marker. */
export const MEMCOMPARABLE_GROUP = 8;
export const MEMCOMPARABLE_GROUP_ENCODED = 9;

/** A timestamp: in keys the big-endian bytes of NOT(ts), in ts tables a little-endian u64. */
export const TS_BYTES = 8;

/** Longest key prefix that kernels put in front of keys. */
export const KEY_PREFIX_MAX = 16;

/** Result of crc64Pairs: u64 checksum, u64 sum of lengths. */
export const CRC_RESULT_BYTES = 16;
export const CRC_RESULT_BYTES_OFFSET = 8;

/*
 * WriteBatch representation (RocksDB): u64 sequence · u32 count · records.
 *   record  u8 tag · varint32 key length · key [· varint32 value length · value]
 * PERSISTED: do not renumber.
 */
export const WRITE_BATCH_HEADER = 12;
export const WRITE_BATCH_COUNT_OFFSET = 8;
export const WRITE_BATCH_DELETE = 0x00;
export const WRITE_BATCH_PUT = 0x01;
export const WRITE_BATCH_DELETE_RANGE = 0x0f;

/*
 * Input row of the writeBatchBuild kernel, 32 bytes, 4-byte aligned:
 *   +0 u8 op (a WRITE_BATCH_ tag) · +1 u8 suffix length 0..12 · +2 u16 0
 *   +4 key pointer · +8 key length · +12 value pointer · +16 value length
 *   +20 suffix bytes, appended to the value of a put (TTL expiry, API V2 flags)
 * For a delete-range, value is the exclusive end, behind the key; length 0 means the end of the
 * key prefix.
 */
export const WRITE_ROW_BYTES = 32;
export const WRITE_ROW_SUFFIX_LENGTH = 1;
export const WRITE_ROW_KEY_PTR = 4;
export const WRITE_ROW_KEY_LENGTH = 8;
export const WRITE_ROW_VALUE_PTR = 12;
export const WRITE_ROW_VALUE_LENGTH = 16;
export const WRITE_ROW_SUFFIX = 20;
export const WRITE_ROW_SUFFIX_MAX = 12;
