/**
 * The sending side of one snapshot: reads the region's data from an engine snapshot, one chunk a
 * call. Holds the engine snapshot, a few hundred KiB of entries, and no file.
 */
import { assert } from "../../base/index.js";
import { dataRange } from "../../codec/index.js";
import type { Snapshot as EngineSnapshot, Entries, Iter } from "../../engine/index.js";
import {
  CHUNK_TARGET_BYTES,
  DATA_CFS,
  isLongEntry,
  type StreamHead,
  StreamWriter,
} from "./format.js";

/** Entries of one read; what 2,048 small ones cost is a few ms with the slower binding. */
const READ_ENTRIES = 2048;
const NOTHING: Entries = { keys: [], values: [] };

/** Chunks of one region. Not here: limits, expiry (manager.ts). */
export class RegionReader {
  private readonly writer = new StreamWriter();
  private iter: Iter | undefined;
  private cf = -1;
  /** Read and not yet written; keys without the data prefix. */
  private entries = NOTHING;
  private at = 0;
  private state: "head" | "data" | "ended" | "closed" = "head";

  constructor(
    private readonly head: StreamHead,
    private readonly snapshot: EngineSnapshot,
  ) {}

  /** Returns the next chunk, the caller's; undefined behind the end. */
  next(): Uint8Array | undefined {
    if (this.state === "head") {
      this.state = "data";
      return this.writer.head(this.head);
    }
    if (this.state !== "data") return undefined;
    if (this.writer.insideLong) return this.writer.part();
    if (this.at >= this.entries.keys.length && !this.read()) {
      this.state = "ended";
      return this.writer.end();
    }
    const { keys, values } = this.entries;
    const [key, value] = [keys[this.at] as Uint8Array, values[this.at] as Uint8Array];
    if (isLongEntry(key, value)) {
      this.at++;
      return this.writer.long(this.cf, key, value);
    }
    const { chunk, to } = this.writer.entries(this.cf, keys, values, this.at);
    this.at = to;
    return chunk;
  }

  /** Closes the engine snapshot. Idempotent. */
  close(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.iter?.close();
    this.entries = NOTHING;
    this.snapshot.close();
  }

  /** Reads more entries, of the next CFs too. Returns whether there were any. */
  private read(): boolean {
    for (;;) {
      if (this.iter?.valid === true) {
        const { keys, values } = this.iter.take(READ_ENTRIES, CHUNK_TARGET_BYTES);
        assert(keys.length > 0, "a valid iterator has an entry");
        this.entries = { keys: keys.map((key) => key.subarray(1)), values };
        this.at = 0;
        return true;
      }
      this.iter?.close();
      this.iter = undefined;
      const cf = DATA_CFS[++this.cf];
      if (cf === undefined) return false;
      const { start, end } = dataRange(this.head.region.startKey, this.head.region.endKey);
      this.iter = this.snapshot.iterate(cf, { lower: start, upper: end, fillCache: false });
      this.iter.seekToFirst();
    }
  }
}
