/**
 * A sequence of batches whose traces in the engine tell which batches are there, and that each is
 * whole: batch N writes N to "seq" and an entry N to every CF, and deletes the entries N - WINDOW.
 */
import { utf8, utf8Decode } from "../../src/base/index.js";
import { CF_NAMES, type CfName, type Snapshot, type WriteBatch } from "../../src/engine/index.js";

const WINDOW = 32;
const SEQUENCE_KEY = utf8("seq");

function entryKey(number: number): Uint8Array {
  return utf8(`entry${String(number).padStart(9, "0")}`);
}

/** Mostly small, now and then larger than a block of the write-ahead log (32 KiB). */
function entryValue(number: number, cf: string): Uint8Array {
  const length = number % 50 === 0 ? 70_000 : (number * 37) % 900;
  return new Uint8Array(length).fill((number + cf.length) & 0xff);
}

/** Adds batch `number` (from 1 on) to an empty batch. */
export function sequenceBatch(batch: WriteBatch, number: number): void {
  for (const cf of CF_NAMES) {
    batch.put(cf, SEQUENCE_KEY, utf8(`${number}`));
    batch.put(cf, entryKey(number), entryValue(number, cf));
    if (number > WINDOW) batch.delete(cf, entryKey(number - WINDOW));
  }
}

/** Returns the newest batch, 0 when there is none. */
export function lastSequence(snapshot: Snapshot): number {
  const value = snapshot.get("default", SEQUENCE_KEY);
  return value === undefined ? 0 : Number(utf8Decode(value));
}

/** Checks the entries of one CF after `first`; returns the last one. */
function checkEntries(snapshot: Snapshot, cf: CfName, first: number): number {
  const iter = snapshot.iterate(cf, { lower: utf8("entry"), upper: utf8("entry~") });
  let number = first;
  try {
    for (let on = iter.seekToFirst(); on; on = iter.next()) {
      number++;
      const key = utf8Decode(iter.key());
      if (key !== utf8Decode(entryKey(number))) throw new Error(`${cf}: ${key}, not ${number}`);
      if (Buffer.compare(iter.value(), entryValue(number, cf)) !== 0) {
        throw new Error(`${cf}: value of ${key}`);
      }
    }
  } finally {
    iter.close();
  }
  return number;
}

/** Throws unless the engine shows exactly the batches 1..lastSequence, each whole. */
export function checkSequence(snapshot: Snapshot): void {
  const last = lastSequence(snapshot);
  for (const cf of CF_NAMES) {
    const sequence = snapshot.get(cf, SEQUENCE_KEY);
    if (last > 0 && (sequence === undefined || Number(utf8Decode(sequence)) !== last)) {
      throw new Error(`${cf}: seq ${sequence && utf8Decode(sequence)}, default has ${last}`);
    }
    const number = checkEntries(snapshot, cf, Math.max(0, last - WINDOW));
    if (number !== last) throw new Error(`${cf}: entries end at ${number}, seq is ${last}`);
  }
}
