/**
 * Checks the write-ahead logs that the next start will replay. RocksDB replays a damaged log with a
 * hole where the damage was when it is opened without paranoid checks (the npm binding) and does not
 * see zeroed or missing pieces in any mode; we accept a torn tail, and refuse everything else.
 *
 * Batches in the logs carry sequence numbers without gaps, from the last one that the MANIFEST knows
 * on. So a lost log file, a lost end of a log before another one, and a MANIFEST that lost its last
 * flush show as a gap.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { damaged } from "./damage.js";
import { readLog } from "./log_reader.js";

/** Bytes of a batch before its records: u64 sequence, u32 count. */
const BATCH_HEADER = 12;

export interface WalState {
  /** Sequence number of the last record that replay will see. */
  readonly lastSequence: number;
  readonly recordsCount: number;
}

/**
 * Checks `logs` (numbers of live *.log files, ascending) against `lastSequence` of the MANIFEST.
 * Throws RUTILE:Engine:Corruption.
 */
export function checkWals(
  directory: string,
  logs: readonly number[],
  lastSequence: number,
): WalState {
  let last = lastSequence;
  let recordsCount = 0;
  let torn: string | undefined;
  for (const number of logs) {
    const file = join(directory, logName(number));
    const { records, badAt, badWhy, goodBehind } = readLog(readFileSync(file));
    if (badAt !== undefined && goodBehind) {
      throw damaged(file, badAt, `${badWhy}, and whole records follow`);
    }
    for (const { offset, payload } of records) {
      if (torn !== undefined) throw damaged(torn, undefined, `it is torn, and ${file} follows`);
      if (payload.length < BATCH_HEADER) throw damaged(file, offset, "a batch has no header");
      const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
      const sequence = Number(view.getBigUint64(0, true));
      if (sequence > last + 1) {
        throw damaged(file, offset, `records ${last + 1} to ${sequence - 1} are missing before it`);
      }
      last = Math.max(last, sequence + view.getUint32(8, true) - 1);
      recordsCount++;
    }
    if (badAt !== undefined) torn = file;
  }
  return { lastSequence: last, recordsCount };
}

/** Returns the file name of a write-ahead log. */
export function logName(number: number): string {
  return `${String(number).padStart(6, "0")}.log`;
}
