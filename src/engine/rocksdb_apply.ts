/**
 * How the worker applies a batch representation through a binding without range deletes.
 *
 * The records go into one native batch, in order, so that they are atomic. A delete-range becomes
 * the deletes of the keys that are there: those on disk, and those that earlier records of the same
 * batch put. Up to CHUNK_KEYS of them stay inside the batch. Of a larger range all but the last
 * chunk are deleted before it, in native batches of their own, not synced: the log keeps their
 * order, so a crash in between leaves a prefix of the range deleted and nothing of the batch, and
 * running the batch again ends in the same state. Readers of the newest state may see that prefix;
 * snapshots do not.
 */
import { compareBytes } from "../base/index.js";
import type { NativeBatch, NativeDb } from "./rocksdb_native.js";
import { Cursor, MARKER_KEY } from "./rocksdb_pins.js";
import { writeRecords } from "./write_batch.js";

/** Keys that one native batch of a range delete holds at most. */
const CHUNK_KEYS = 4096;
/** Sum of key lengths after which a chunk ends. */
const CHUNK_BYTES = 1 << 20;

export class Applier {
  private readonly db: NativeDb;
  private readonly chunkKeys: number;
  /** Random, then counted up: consecutive native writes carry different markers. */
  private readonly marker: BigUint64Array;

  /** `markerStart` is a random number that no earlier process used last. */
  constructor(db: NativeDb, markerStart: bigint, chunkKeys = CHUNK_KEYS) {
    this.db = db;
    this.chunkKeys = chunkKeys;
    this.marker = BigUint64Array.of(markerStart);
  }

  /**
   * Applies `representation`. Errs with the binding's error; with KV:Engine:Codec for broken bytes,
   * of which then no record is applied (chunks of a large range delete before the damage may be).
   */
  async apply(representation: Uint8Array, sync: boolean): Promise<void> {
    const batch = this.db.batch();
    let index = 0;
    for (const record of writeRecords(representation)) {
      if (record.kind === "put") batch.put(record.key, record.value);
      else if (record.kind === "delete") batch.delete(record.key);
      else {
        await this.deleteStored(batch, record.start, record.end);
        deleteEarlierPuts(batch, representation, index, record.start, record.end);
      }
      index++;
    }
    await this.write(batch, sync);
  }

  /** Writes a record that changes nothing that is read, and syncs the log with it. */
  async syncLog(): Promise<void> {
    await this.write(this.db.batch(), true);
  }

  private async deleteStored(
    batch: NativeBatch,
    start: Uint8Array,
    end: Uint8Array,
  ): Promise<void> {
    if (compareBytes(start, end) >= 0) return;
    const cursor = new Cursor(this.db.iterator(false), false);
    try {
      await cursor.seek(start, true);
      for (;;) {
        const keys = await takeKeys(cursor, end, this.chunkKeys);
        const last = (await cursor.peek()) === undefined || isBehind(cursor.peekNow(), end);
        const target = last ? batch : this.db.batch();
        for (const key of keys) target.delete(key);
        if (last) return;
        await this.write(target, false);
      }
    } finally {
      await cursor.end();
    }
  }

  private async write(batch: NativeBatch, sync: boolean): Promise<void> {
    this.marker[0] = (this.marker[0] as bigint) + 1n;
    batch.put(MARKER_KEY, new Uint8Array(this.marker.buffer));
    await batch.write(sync);
  }
}

/** Takes the next keys before `end`: at most `max`, and no more after CHUNK_BYTES. */
async function takeKeys(cursor: Cursor, end: Uint8Array, max: number): Promise<Uint8Array[]> {
  const keys: Uint8Array[] = [];
  for (let bytes = 0; keys.length < max && bytes < CHUNK_BYTES; ) {
    const key = cursor.peekNow() ?? (await cursor.peek());
    if (key === undefined || isBehind(key, end)) break;
    keys.push(key);
    bytes += key.length;
    cursor.take();
  }
  return keys;
}

/** Deletes in `batch` what the first `count` records of `representation` put into the range. */
function deleteEarlierPuts(
  batch: NativeBatch,
  representation: Uint8Array,
  count: number,
  start: Uint8Array,
  end: Uint8Array,
): void {
  let left = count;
  for (const record of writeRecords(representation)) {
    if (left-- === 0) return;
    if (record.kind !== "put" || compareBytes(record.key, start) < 0) continue;
    if (!isBehind(record.key, end)) batch.delete(record.key);
  }
}

function isBehind(key: Uint8Array | undefined, end: Uint8Array): boolean {
  return key !== undefined && compareBytes(key, end) >= 0;
}
