/**
 * mvcc_scan kernels: all builds against the twin over random histories of a tiny key space, and both
 * against the naive reader of test/support/mvcc_history.ts; blocks cut anywhere, in both directions.
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes, toHex } from "../../src/base/index.js";
import { encodeLock, encodeWrite, parseLock, parseWrite } from "../../src/codec/index.js";
import {
  type Arena,
  CORRUPT,
  ENTRY_ROW_BYTES,
  type KernelFunctions,
  MVCC_ERR_CF,
  MVCC_FLAG_KEY_ONLY,
  MVCC_FLAG_LOCKS_END,
  MVCC_FLAG_REPLICA_READ,
  MVCC_FLAG_REVERSE,
  MVCC_FLAG_WRITES_END,
  MVCC_ITEM_BYTES,
  MVCC_ITEM_COMPLETE,
  MVCC_ITEM_READ_TS,
  MVCC_ITEMS,
  MVCC_ITEMS_COUNT,
  MVCC_JUMP,
  MVCC_LOCKS,
  MVCC_LOCKS_COUNT,
  MVCC_LOCKS_DONE,
  MVCC_LOOKED_AT,
  MVCC_MORE,
  MVCC_NONE,
  MVCC_RC,
  MVCC_RC_CHECK_TS,
  MVCC_ROWS_DONE,
  MVCC_SI,
  MVCC_SKIP,
  MVCC_SKIP_LENGTH,
  MVCC_SKIP_NEXT,
  MVCC_SKIP_NEXT_LENGTH,
  MVCC_STOP,
  MVCC_STOP_END,
  MVCC_STOP_LOCKS,
  MVCC_STOP_OUT,
  MVCC_STOP_ROWS,
  MVCC_STOP_WRITES,
  MVCC_WRITES,
  MVCC_WRITES_COUNT,
  MVCC_WRITES_DONE,
  OUT_FULL,
  SLICE_ABSENT,
} from "../../src/kernel/index.js";
import {
  type BlockEntry,
  param,
  placeBlock,
  placeReader,
  readRows,
  setParam,
  writeEntry,
} from "../support/mvcc_blocks.js";
import {
  historyArbitrary,
  type KeyHistory,
  lockBlock,
  type PlainReader,
  readerArbitrary,
  type Seen,
  seenOf,
  TS_MAX,
  writeBlock,
} from "../support/mvcc_history.js";
import { agree, assertUntouched, bytesArbitrary, forAll } from "./support.js";

const ISOLATION = { si: MVCC_SI, rc: MVCC_RC, rcCheckTs: MVCC_RC_CHECK_TS } as const;

/** How the blocks of a scan are cut, and the room for what it finds. */
interface Cut {
  readonly reverse: boolean;
  /** Entries a block. */
  readonly writes: number;
  readonly locks: number;
  readonly rows: number;
  readonly outBytes: number;
  readonly offset: number;
}

const WHOLE = { writes: 1000, locks: 1000, rows: 1000, outBytes: 100_000 };
/** The longest key of the histories makes a default key of so many bytes. */
const DEFAULT_KEY_BYTES = 37;

const cutArbitrary: fc.Arbitrary<Cut> = fc.record({
  reverse: fc.boolean(),
  writes: fc.constantFrom(1, 2, 3, 5, 9, 1000),
  locks: fc.constantFrom(1, 2, 1000),
  rows: fc.constantFrom(1, 2, 1000),
  outBytes: fc.constantFrom(DEFAULT_KEY_BYTES, DEFAULT_KEY_BYTES + 1, 60, 100_000),
  offset: fc.nat(17),
});

function flagsOf(reader: PlainReader): number {
  let flags = ISOLATION[reader.isolation] as number;
  if (reader.keyOnly) flags |= MVCC_FLAG_KEY_ONLY;
  if (reader.replicaRead) flags |= MVCC_FLAG_REPLICA_READ;
  return flags;
}

/** What a call left behind, for comparing builds; rows without what they looked at follow. */
interface ScanLog {
  readonly seen: Seen[];
  readonly log: string[];
}

/**
 * Scans like a driver: fills blocks of a few entries, calls, drains rows, goes on. Keys that the
 * kernel hands back (too far below, or too many versions) are answered by `slow`.
 */
function scan(
  functions: KernelFunctions,
  arena: Arena,
  reader: PlainReader,
  history: readonly KeyHistory[],
  cut: Cut,
): ScanLog {
  const order = (entries: BlockEntry[]): BlockEntry[] =>
    cut.reverse ? entries.reverse() : entries;
  let writes = order(writeBlock(history));
  let locks = reader.isolation === "rc" ? [] : order(lockBlock(history));
  const seen: Seen[] = [];
  const log: string[] = [];
  let skip: Uint8Array = new Uint8Array(0);
  let [writesMax, locksMax] = [cut.writes, cut.locks];
  const slow = (keyHex: string): void => {
    const one = seenOf(reader, history.find(({ key }) => toHex(key) === keyHex) as KeyHistory);
    if (one !== undefined) seen.push(one);
  };
  for (let calls = 0; ; calls++) {
    assert.ok(calls < 2000, "the scan comes to an end");
    for (const region of [arena.input, arena.output, arena.scratch]) region.reset();
    const writesNow = writes.slice(0, writesMax);
    const locksNow = locks.slice(0, locksMax);
    let flags = flagsOf(reader) | (cut.reverse ? MVCC_FLAG_REVERSE : 0);
    if (writesNow.length === writes.length) flags |= MVCC_FLAG_WRITES_END;
    if (locksNow.length === locks.length) flags |= MVCC_FLAG_LOCKS_END;
    const { readTs, bypass, access } = reader;
    const room = { capacity: cut.rows, outBytes: cut.outBytes, outOffset: cut.offset };
    const params = placeReader(arena, { readTs, flags, bypass, access, ...room });
    setParam(arena, params, MVCC_WRITES, placeBlock(arena, writesNow, cut.offset));
    setParam(arena, params, MVCC_WRITES_COUNT, writesNow.length);
    setParam(arena, params, MVCC_LOCKS, placeBlock(arena, locksNow, cut.offset));
    setParam(arena, params, MVCC_LOCKS_COUNT, locksNow.length);
    const skipAt = arena.input.reserve(skip.length + 1, 1);
    arena.u8.set(skip, skipAt);
    setParam(arena, params, MVCC_SKIP, skipAt);
    setParam(arena, params, MVCC_SKIP_LENGTH, skip.length);
    const code = functions.mvccScan(params);
    assertUntouched(arena, arena.output.next);
    const done = param(arena, params, MVCC_ROWS_DONE);
    assert.is(code, code === OUT_FULL ? OUT_FULL : done);
    const stop = param(arena, params, MVCC_STOP);
    const [writesDone, locksDone] = [MVCC_WRITES_DONE, MVCC_LOCKS_DONE].map((field) =>
      param(arena, params, field),
    ) as [number, number];
    const rows = readRows(arena, params, done);
    const lookedAt = param(arena, params, MVCC_LOOKED_AT);
    log.push(`${code} stop ${stop} at ${writesDone} ${locksDone} looked ${lookedAt}`);
    for (const { lookedAt: looked, ...row } of rows) {
      log.push(`${row.outcome} looked ${looked}`);
      if (row.outcome === MVCC_JUMP) slow(row.key);
      else seen.push(row);
    }
    if (stop === MVCC_STOP_END) break;
    const skipLength = param(arena, params, MVCC_SKIP_NEXT_LENGTH);
    const skipNext = param(arena, params, MVCC_SKIP_NEXT);
    skip = arena.u8.slice(skipNext, skipNext + skipLength);
    const stuck = done === 0 && writesDone === 0 && locksDone === 0;
    if (stop === MVCC_STOP_WRITES && stuck) {
      // One key fills the block: a larger one, as a driver that cannot read it alone would take.
      assert.ok(cut.reverse, "forward, every entry of the block is consumed");
      writesMax += cut.writes;
    } else if (stop === MVCC_STOP_LOCKS) assert.is(locksDone, locksNow.length);
    else if (stop === MVCC_STOP_ROWS) assert.is(done, cut.rows);
    else if (stop === MVCC_STOP_OUT) assert.ok(done > 0 || cut.outBytes < DEFAULT_KEY_BYTES);
    if (!stuck) [writesMax, locksMax] = [cut.writes, cut.locks];
    writes = writes.slice(writesDone);
    locks = locks.slice(locksDone);
  }
  return { seen, log };
}

/** What the naive reader sees, in the order of the scan. */
function expected(reader: PlainReader, history: readonly KeyHistory[], reverse: boolean): Seen[] {
  const seen = history.map((one) => seenOf(reader, one)).filter((one) => one !== undefined);
  return reverse ? seen.reverse() : seen;
}

test("a range in one block is what the naive reader sees, in both directions", () => {
  const arbitrary = fc.tuple(historyArbitrary(6), readerArbitrary, fc.boolean(), fc.nat(17));
  forAll(
    arbitrary,
    ([history, reader, reverse, offset]) => {
      const cut = { ...WHOLE, reverse, offset };
      const { seen } = agree((functions, arena) =>
        scan(functions, arena, reader, history, cut),
      ) as ScanLog;
      assert.equal(seen, expected(reader, history, reverse));
    },
    500,
  );
});

test("blocks cut anywhere, few rows, little room: the same rows", () => {
  forAll(
    fc.tuple(historyArbitrary(14), readerArbitrary, cutArbitrary),
    ([history, reader, cut]) => {
      const { seen } = agree((functions, arena) =>
        scan(functions, arena, reader, history, cut),
      ) as ScanLog;
      assert.equal(seen, expected(reader, history, cut.reverse));
    },
    500,
  );
});

/** Reads keys with mvccPoint, `entriesMax` entries each; returns rows and codes. */
function point(
  functions: KernelFunctions,
  arena: Arena,
  reader: PlainReader,
  history: readonly KeyHistory[],
  entriesMax: number,
  outBytes: number,
) {
  const { readTs, bypass, access } = reader;
  const capacity = history.length;
  const flags = flagsOf(reader);
  const params = placeReader(arena, { readTs: 0n, flags, bypass, access, capacity, outBytes });
  const newest = reader.isolation === "rcCheckTs" ? TS_MAX : readTs;
  const parts = history.map((one) =>
    writeBlock([{ ...one, versions: one.versions.filter(({ commitTs }) => commitTs <= newest) }]),
  );
  // A seek delivers what follows, be it of another key.
  const blocks = parts.map((part, i) => {
    const following = parts.slice(i + 1).flat();
    return [...part, ...following].slice(0, entriesMax);
  });
  setParam(arena, params, MVCC_WRITES, placeBlock(arena, blocks.flat()));
  setParam(arena, params, MVCC_WRITES_COUNT, blocks.flat().length);
  const items = arena.scratch.reserve(capacity * MVCC_ITEM_BYTES + 8);
  const locks = arena.scratch.reserve(capacity * 8 + 8);
  const place = (bytes: Uint8Array): number => {
    const at = arena.input.reserve(bytes.length + 1, 1);
    arena.u8.set(bytes, at);
    return at;
  };
  let first = 0;
  history.forEach(({ key, lock }, i) => {
    const count = (blocks[i] as BlockEntry[]).length;
    const complete = count < entriesMax ? MVCC_ITEM_COMPLETE : 0;
    const item = items + i * MVCC_ITEM_BYTES;
    arena.u32.set([place(key), key.length, first, count + complete], item >> 2);
    arena.view.setBigUint64(item + MVCC_ITEM_READ_TS, readTs, true);
    const record = lock === undefined ? undefined : encodeLock(lock);
    const slice = record === undefined ? [0, SLICE_ABSENT] : [place(record), record.length];
    arena.u32.set(slice, (locks >> 2) + 2 * i);
    first += count;
  });
  setParam(arena, params, MVCC_ITEMS, items);
  setParam(arena, params, MVCC_ITEMS_COUNT, capacity);
  setParam(arena, params, MVCC_LOCKS, reader.isolation === "rc" ? 0 : locks);
  const code = functions.mvccPoint(params);
  assertUntouched(arena, arena.output.next);
  const rows = readRows(arena, params, param(arena, params, MVCC_ROWS_DONE));
  return { code, rows, needed: code === capacity ? 0 : arena.needed };
}

test("points: a row for each key; more entries are asked for where they decide", () => {
  const arbitrary = fc.tuple(
    historyArbitrary(12),
    readerArbitrary,
    fc.constantFrom(1, 2, 3, 9, 100),
    fc.constantFrom(0, DEFAULT_KEY_BYTES - 1, DEFAULT_KEY_BYTES, 60, 10_000),
  );
  forAll(
    arbitrary,
    ([history, reader, entriesMax, outBytes]) => {
      const result = agree((functions, arena) =>
        point(functions, arena, reader, history, entriesMax, outBytes),
      ) as ReturnType<typeof point>;
      assert.is(result.rows.length, Math.max(0, result.code));
      if (result.code !== history.length) assert.ok(result.needed <= DEFAULT_KEY_BYTES);
      if (outBytes === 10_000) assert.is(result.code, history.length);
      result.rows.forEach(({ lookedAt, ...row }, i) => {
        const one = history[i] as KeyHistory;
        if (row.outcome === MVCC_MORE || row.outcome === MVCC_JUMP) {
          assert.ok(entriesMax < 100, "all versions are there");
          assert.is(lookedAt, entriesMax);
          return;
        }
        if (row.outcome === MVCC_NONE) assert.is(seenOf(reader, one), undefined);
        else assert.equal(row, seenOf(reader, one));
      });
    },
    500,
  );
});

test("a jump names the data that are far below", () => {
  const arbitrary = fc.tuple(historyArbitrary(16), fc.constantFrom(1, 2, 3));
  let jumps = 0;
  forAll(
    arbitrary,
    ([history, entriesMax]) => {
      const reader: PlainReader = {
        readTs: TS_MAX,
        isolation: "rc",
        keyOnly: false,
        replicaRead: false,
        bypass: [],
        access: [],
      };
      const { rows } = agree((functions, arena) =>
        point(functions, arena, reader, history, entriesMax, 10_000),
      ) as ReturnType<typeof point>;
      rows.forEach((row, i) => {
        if (row.outcome !== MVCC_JUMP) return;
        jumps++;
        const { versions } = history[i] as KeyHistory;
        const target = versions.findIndex(({ commitTs }) => commitTs === row.startTs);
        assert.ok(target >= entriesMax + 7, `version ${target}`);
      });
    },
    500,
  );
  assert.ok(jumps > 0, "the histories are deep enough");
});

/** Runs mvccPoint on one key with one write record, or none and a lock record. */
function single(
  functions: KernelFunctions,
  arena: Arena,
  record: { readonly write?: Uint8Array; readonly lock?: Uint8Array },
) {
  const key = Uint8Array.from([0x6b, 0, 0, 0, 0, 0, 0, 0, 0xf8]);
  const params = placeReader(arena, { readTs: 100n, flags: 0, capacity: 1, outBytes: 100 });
  const entries = record.write === undefined ? [] : [writeEntry(key, 50n, record.write)];
  setParam(arena, params, MVCC_WRITES, placeBlock(arena, entries, 3));
  const keyAt = arena.input.reserve(key.length, 1);
  arena.u8.set(key, keyAt);
  const items = arena.scratch.reserve(MVCC_ITEM_BYTES);
  arena.u32.set([keyAt, key.length, 0, MVCC_ITEM_COMPLETE + entries.length], items >> 2);
  arena.view.setBigUint64(items + MVCC_ITEM_READ_TS, 100n, true);
  setParam(arena, params, MVCC_ITEMS, items);
  setParam(arena, params, MVCC_ITEMS_COUNT, 1);
  if (record.lock !== undefined) {
    const at = arena.input.reserve(record.lock.length + 1, 1);
    arena.u8.set(record.lock, at);
    const slice = arena.scratch.reserve(8);
    arena.u32.set([at, record.lock.length], slice >> 2);
    setParam(arena, params, MVCC_LOCKS, slice);
  }
  const code = functions.mvccPoint(params);
  const rows = readRows(arena, params, param(arena, params, MVCC_ROWS_DONE));
  if (code !== CORRUPT) return { code, rows };
  return { code, rows, item: arena.errItem, cf: param(arena, params, MVCC_ERR_CF) };
}

/** Records that were cut, extended or changed in places. */
const damageArbitrary = fc.record({
  cut: fc.oneof(fc.constant(1000), fc.nat(40)),
  extra: fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ maxLength: 12 })),
  changes: fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 2 }),
});

function damage(
  record: Uint8Array,
  how: { cut: number; extra: Uint8Array; changes: [number, number][] },
) {
  const bytes = Uint8Array.from([...record.subarray(0, how.cut), ...how.extra]);
  for (const [at, byte] of how.changes) if (at < bytes.length) bytes[at] = byte;
  return bytes;
}

/** Whether the codec, which is the format's other implementation, refuses a record. */
function refuses(parse: (record: Uint8Array) => unknown, record: Uint8Array): boolean {
  try {
    parse(record);
    return false;
  } catch {
    return true;
  }
}

test("damaged records are CORRUPT exactly where the codec refuses them", () => {
  let refused = 0;
  forAll(
    fc.tuple(historyArbitrary(3), damageArbitrary, bytesArbitrary),
    ([history, how, noise]) => {
      const writes = history.flatMap(({ versions }) => versions.map(({ write }) => write));
      const locks = history.flatMap(({ lock }) => (lock === undefined ? [] : [lock]));
      for (const record of [...writes.map((write) => damage(encodeWrite(write), how)), noise]) {
        const seen = agree((functions, arena) => single(functions, arena, { write: record }));
        const { code } = seen as { code: number };
        assert.is(code === CORRUPT, refuses(parseWrite, record), toHex(record));
        if (code === CORRUPT) {
          assert.equal(seen, { code, rows: [], item: 0, cf: 0 });
          refused++;
        }
      }
      for (const record of [...locks.map((lock) => damage(encodeLock(lock), how)), noise]) {
        const seen = agree((functions, arena) => single(functions, arena, { lock: record }));
        const { code } = seen as { code: number };
        assert.is(code === CORRUPT, refuses(parseLock, record), toHex(record));
        if (code === CORRUPT) {
          assert.equal(seen, { code, rows: [], item: 0, cf: 1 });
          refused++;
        }
      }
    },
    300,
  );
  assert.ok(refused > 100, `${refused} damaged records`);
});

test("a scan stops at the damaged entry; the rows before it are done", () => {
  const arbitrary = fc.tuple(historyArbitrary(3), fc.boolean(), fc.nat(1000));
  const reader = { readTs: TS_MAX - 1n, flags: MVCC_FLAG_WRITES_END | MVCC_FLAG_LOCKS_END };
  forAll(arbitrary, ([history, inLocks, which]) => {
    const writes = writeBlock(history);
    const locks = lockBlock(history);
    const target = inLocks ? locks : writes;
    if (target.length === 0) return;
    const index = which % target.length;
    const entry = target[index] as BlockEntry;
    target[index] = { key: entry.key, value: Uint8Array.of(0x58, 1) };
    const seen = agree((functions, arena) => {
      const params = placeReader(arena, { ...reader, capacity: 100, outBytes: 4000 });
      setParam(arena, params, MVCC_WRITES, placeBlock(arena, writes));
      setParam(arena, params, MVCC_WRITES_COUNT, writes.length);
      setParam(arena, params, MVCC_LOCKS, placeBlock(arena, locks));
      setParam(arena, params, MVCC_LOCKS_COUNT, locks.length);
      const code = functions.mvccScan(params);
      const rows = readRows(arena, params, param(arena, params, MVCC_ROWS_DONE));
      if (code !== CORRUPT) return { code, rows };
      return { code, rows, item: arena.errItem, cf: param(arena, params, MVCC_ERR_CF) };
    }) as { code: number; rows: { key: string }[]; item?: number; cf?: number };
    if (inLocks) assert.is(seen.code, CORRUPT, "every lock is judged");
    if (seen.code !== CORRUPT) return;
    assert.equal([seen.item, seen.cf], [index, inLocks ? 1 : 0]);
    const bad = toHex(entry.key).slice(4);
    for (const { key } of seen.rows) assert.ok(key < bad, "rows are of earlier keys");
  });
});

test("keys that are too short are damage, not memory reads", () => {
  const flags = MVCC_FLAG_WRITES_END | MVCC_FLAG_LOCKS_END;
  for (let length = 0; length < 12; length++) {
    for (const cf of [0, 1]) {
      const entry = { key: new Uint8Array(length).fill(0x61), value: Uint8Array.of(0x50, 1) };
      const seen = agree((functions, arena) => {
        const params = placeReader(arena, { readTs: TS_MAX, flags, capacity: 4, outBytes: 99 });
        setParam(arena, params, cf === 0 ? MVCC_WRITES : MVCC_LOCKS, placeBlock(arena, [entry]));
        setParam(arena, params, cf === 0 ? MVCC_WRITES_COUNT : MVCC_LOCKS_COUNT, 1);
        const code = functions.mvccScan(params);
        return { code, rows: param(arena, params, MVCC_ROWS_DONE) };
      }) as { code: number };
      if (cf === 0) assert.is(seen.code === CORRUPT, length < 10, `write key of ${length}`);
      else assert.is(seen.code, CORRUPT, "the lock record is cut as well");
    }
  }
});

test("zero entries, zero items", () => {
  for (const flags of [0, MVCC_FLAG_WRITES_END, MVCC_FLAG_LOCKS_END, 48]) {
    const seen = agree((functions, arena) => {
      const params = placeReader(arena, { readTs: 5n, flags, capacity: 0, outBytes: 0 });
      const codes = [functions.mvccScan(params), param(arena, params, MVCC_STOP)];
      return [...codes, functions.mvccPoint(params)];
    });
    assert.equal(seen, [0, MVCC_STOP_ROWS, 0]);
  }
});

test("the histories are in key order, and rows of a block are whole words", () => {
  assert.is(ENTRY_ROW_BYTES % 4, 0);
  forAll(historyArbitrary(4), (history) => {
    const keys = writeBlock(history).map(({ key }) => key);
    keys.slice(1).forEach((key, i) => {
      assert.ok(compareBytes(keys[i] as Uint8Array, key) < 0);
    });
  });
});

test.run();
