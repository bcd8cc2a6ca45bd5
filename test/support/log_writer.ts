/** Writes RocksDB's log format and batches, so that tests of the checks need no RocksDB. */
import { crc32c, maskedCrc } from "../../src/engine/check/crc32c.js";

const BLOCK = 32 * 1024;
const HEADER = 7;
const FULL = 1;
const FIRST = 2;
const MIDDLE = 3;
const LAST = 4;

/** Returns a log with `payloads` as its logical records. */
export function logOf(payloads: readonly Uint8Array[]): Buffer {
  const out: Buffer[] = [];
  let at = 0;
  const push = (bytes: Buffer): void => {
    out.push(bytes);
    at += bytes.length;
  };
  for (const payload of payloads) {
    let rest = payload;
    for (let first = true; first || rest.length > 0; first = false) {
      const left = BLOCK - (at % BLOCK);
      if (left < HEADER) push(Buffer.alloc(left));
      const room = BLOCK - (at % BLOCK) - HEADER;
      const piece = rest.subarray(0, room);
      rest = rest.subarray(piece.length);
      const last = rest.length === 0;
      push(physical(first ? (last ? FULL : FIRST) : last ? LAST : MIDDLE, piece));
      if (last) break;
    }
  }
  return Buffer.concat(out);
}

function physical(type: number, payload: Uint8Array): Buffer {
  const record = Buffer.alloc(HEADER + payload.length);
  record.writeUInt16LE(payload.length, 4);
  record[6] = type;
  record.set(payload, HEADER);
  record.writeUInt32LE(maskedCrc(crc32c(record, 6, record.length)), 0);
  return record;
}

/** Returns a batch header with `bytes` of filler as its records. */
export function batchOf(sequence: number, count: number, bytes: number): Buffer {
  const batch = Buffer.alloc(12 + bytes, sequence & 0xff);
  batch.writeBigUInt64LE(BigInt(sequence), 0);
  batch.writeUInt32LE(count, 8);
  return batch;
}
