/** The workload of the engine bench: 16-byte keys, 100-byte values, the same for every binding. */
import { concatBytes, utf8 } from "../../src/base/index.js";
import { CF_PREFIX, type Engine, type Iter, type Snapshot } from "../../src/engine/index.js";
import { randomBytes, seededU32 } from "../harness.js";

const VALUE_BYTES = 100;
const BATCH_RECORDS = 1000;
const SYNCED_RECORDS = 10;
const GETS = 100;
const ARENA_GETS = 128;
const SCAN_ENTRIES = 1000;
const SHORT_SCAN_ENTRIES = 10;
const NO_BOUNDS = { lower: new Uint8Array(0), upper: new Uint8Array(0) };
const SCAN_BYTES_MAX = 1 << 30;

export interface EngineCase {
  readonly name: string;
  /** Keys, entries or records that one call handles. */
  readonly items: number;
  call(): void | Promise<void>;
  /** Bytes of a fixed call, for the result hash; undefined where nothing is read. */
  result?(): Uint8Array;
  close?(): void;
}

function keyOf(i: number): Uint8Array {
  return utf8(`key${String(i).padStart(13, "0")}`);
}

/** Writes `count` keys. */
export async function load(engine: Engine, count: number): Promise<void> {
  const next = seededU32();
  for (let from = 0; from < count; from += BATCH_RECORDS) {
    const batch = engine.newWriteBatch();
    for (let i = from; i < Math.min(count, from + BATCH_RECORDS); i++) {
      batch.put("default", keyOf(i), randomBytes(next, VALUE_BYTES));
    }
    await engine.write(batch, { sync: false });
  }
}

/** Returns batches of random keys; cases take them in turn. */
function keyBatches(
  count: number,
  size: number,
): (() => readonly Uint8Array[]) & {
  readonly first: readonly Uint8Array[];
} {
  const next = seededU32();
  const batches = Array.from({ length: 64 }, () =>
    Array.from({ length: size }, () => keyOf(next() % count)),
  );
  let at = 0;
  const take = (): readonly Uint8Array[] => batches[at++ % batches.length] as Uint8Array[];
  return Object.assign(take, { first: batches[0] as readonly Uint8Array[] });
}

const joined = (values: readonly (Uint8Array | undefined)[]): Uint8Array =>
  concatBytes(...values.filter((value) => value !== undefined));

function pointReads(engine: Engine, count: number): EngineCase[] {
  const one = keyBatches(count, 1);
  const many = keyBatches(count, GETS);
  return [
    {
      name: "get",
      items: 1,
      call: () => void engine.get("default", one()[0] as Uint8Array),
      result: () => joined([engine.get("default", one.first[0] as Uint8Array)]),
    },
    {
      name: `multi-get ${GETS}`,
      items: GETS,
      call: () => void engine.multiGet("default", many()),
      result: () => joined(engine.multiGet("default", many.first)),
    },
    {
      name: `snapshot, multi-get ${GETS}`,
      items: GETS,
      call: () => {
        const snapshot = engine.snapshot();
        snapshot.multiGet("default", many());
        snapshot.close();
      },
    },
  ];
}

/** The tables are built once: what is measured is the engine. */
function arenaReads(engine: Engine, count: number): EngineCase {
  const next = seededU32();
  const tableBytes = ARENA_GETS * 8;
  const memory = new Uint8Array(1 << 20);
  const view = new DataView(memory.buffer);
  const keysAt = 2 * tableBytes;
  for (let i = 0, at = keysAt; i < ARENA_GETS; i++) {
    const key = concatBytes(Uint8Array.of(CF_PREFIX.default), keyOf(next() % count));
    memory.set(key, at);
    view.setUint32(i * 8, at, true);
    view.setUint32(i * 8 + 4, key.length, true);
    at += key.length;
  }
  const scratch = 64 * 1024;
  const out = 128 * 1024;
  const request = {
    memory,
    count: ARENA_GETS,
    keyTable: 0,
    valueTable: tableBytes,
    out,
    outEnd: memory.length,
    scratch,
    scratchEnd: out,
  };
  return {
    name: `multi-get arena ${ARENA_GETS}`,
    items: ARENA_GETS,
    call: () => void engine.multiGetArena(request),
    result: () => memory.slice(out, engine.multiGetArena(request).outUsedEnd),
  };
}

function scans(engine: Engine, count: number): EngineCase[] {
  const starts = keyBatches(count, 1);
  const snapshot: Snapshot = engine.snapshot();
  const iter: Iter = snapshot.iterate("default", NO_BOUNDS);
  const take = (start: Uint8Array, entries: number): readonly Uint8Array[] => {
    iter.seek(start);
    return iter.take(entries, SCAN_BYTES_MAX).values;
  };
  iter.seekToFirst();
  return [
    {
      name: `iterate, ${SCAN_ENTRIES} a call`,
      items: SCAN_ENTRIES,
      call: () => {
        if (iter.take(SCAN_ENTRIES, SCAN_BYTES_MAX).keys.length < SCAN_ENTRIES) iter.seekToFirst();
      },
      result: () => joined(take(starts.first[0] as Uint8Array, SCAN_ENTRIES)),
    },
    {
      name: `seek, take ${SHORT_SCAN_ENTRIES}`,
      items: SHORT_SCAN_ENTRIES,
      call: () => void take(starts()[0] as Uint8Array, SHORT_SCAN_ENTRIES),
      result: () => joined(take(starts.first[0] as Uint8Array, SHORT_SCAN_ENTRIES)),
      close: () => {
        iter.close();
        snapshot.close();
      },
    },
  ];
}

function writes(engine: Engine, count: number): EngineCase[] {
  const next = seededU32();
  const fill = (records: number): Uint8Array => {
    const batch = engine.newWriteBatch();
    for (let i = 0; i < records; i++) {
      batch.put("default", keyOf(next() % count), randomBytes(next, VALUE_BYTES));
    }
    return batch.bytes().slice();
  };
  const large = fill(BATCH_RECORDS);
  const small = fill(SYNCED_RECORDS);
  return [
    {
      name: `write ${BATCH_RECORDS}`,
      items: BATCH_RECORDS,
      call: () => engine.writeBytes(large, { sync: false }),
    },
    {
      name: `write ${SYNCED_RECORDS}, synced`,
      items: SYNCED_RECORDS,
      call: () => engine.writeBytes(small, { sync: true }),
    },
  ];
}

/** Returns the cases in the order in which they must run: reads before writes. */
export function engineCases(engine: Engine, count: number): EngineCase[] {
  return [
    ...pointReads(engine, count),
    arenaReads(engine, count),
    ...scans(engine, count),
    ...writes(engine, count),
  ];
}
