/**
 * Where received snapshots lie until they are applied. Here: the port and its in-memory
 * implementation, for --memory and the simulator. Files of a directory: node_files.ts.
 *
 * Callbacks come later, never from inside the call. A problem is a text; it fails one snapshot,
 * not the store.
 */
import { assert, concatBytes, type Timers } from "../../base/index.js";
import type { SnapKey } from "./types.js";

const NAME = /^rev_(\d{1,16})_(\d{1,16})_(\d{1,16})\.snap$/;

/** Returns the name of a received snapshot: TiKV's rev_{region}_{term}_{index}. */
export function snapFileName({ regionId, term, index }: SnapKey): string {
  return `rev_${regionId}_${term}_${index}.snap`;
}

/** Returns the key in a name that snapFileName made; undefined for others. */
export function parseSnapFileName(name: string): SnapKey | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [regionId, term, index] = match.slice(1).map(Number) as [number, number, number];
  return { regionId, term, index };
}

/** A file being written, under a temporary name. One call at a time. */
export interface SnapFileWriter {
  /** Keeps `bytes`, which nobody changes any more. */
  append(bytes: Uint8Array, done: (problem: string | undefined) => void): void;
  /** Makes it durable under its name: whole after any crash from then on. */
  commit(done: (problem: string | undefined) => void): void;
  /**
   * Gives up: the file vanishes, no callback comes any more. Idempotent. No effect once `commit`
   * was called, which then runs to its end.
   */
  discard(): void;
}

/** A file being read. One call at a time. */
export interface SnapFileReader {
  /** Brings the bytes at `offset`, fewer only at the end, a view valid until the next call. */
  read(offset: number, length: number, done: (result: Uint8Array | string) => void): void;
  /** Idempotent; no callback comes any more. */
  close(): void;
}

export interface SnapFiles {
  /** The place, for messages. */
  readonly where: string;
  /** Whole files and their sizes in bytes; to be called once, before everything else. */
  list(): readonly { readonly name: string; readonly sizeBytes: number }[];
  create(name: string): SnapFileWriter;
  /** undefined: there is no such file. */
  open(name: string): SnapFileReader | undefined;
  /** Removes a file if it is there; after a crash it may be there again. */
  remove(name: string): void;
}

/** What MemorySnapFiles write to; it survives them, as a directory does. */
export class MemorySnapDisk {
  readonly files = new Map<string, Uint8Array>();
  /** Removed, and not yet forgotten by the disk. */
  readonly removed = new Map<string, Uint8Array>();

  /** Loses power: what was not committed is gone; removals come back if `resurrect`. */
  crash(resurrect: boolean): void {
    if (resurrect) {
      for (const [name, bytes] of this.removed) {
        if (!this.files.has(name)) this.files.set(name, bytes);
      }
    }
    this.removed.clear();
  }
}

/** Files in memory, with the callbacks of files on a disk. */
export class MemorySnapFiles implements SnapFiles {
  readonly where = "memory";

  constructor(
    private readonly disk: MemorySnapDisk,
    private readonly timers: Timers,
  ) {}

  list(): readonly { readonly name: string; readonly sizeBytes: number }[] {
    return [...this.disk.files].map(([name, bytes]) => ({ name, sizeBytes: bytes.length }));
  }

  create(name: string): SnapFileWriter {
    const parts: Uint8Array[] = [];
    const calls = new Calls(this.timers);
    let committing = false;
    return {
      append: (bytes, done) => {
        parts.push(bytes);
        calls.later(() => done(undefined));
      },
      commit: (done) => {
        committing = true;
        // Two steps, so that a crash can come between durable and known to be durable.
        calls.later(() => {
          this.disk.files.set(name, concatBytes(...parts));
          calls.later(() => done(undefined));
        });
      },
      discard: () => {
        if (!committing) calls.cancel();
      },
    };
  }

  open(name: string): SnapFileReader | undefined {
    const bytes = this.disk.files.get(name);
    if (bytes === undefined) return undefined;
    const calls = new Calls(this.timers);
    return {
      read: (offset, length, done) => {
        calls.later(() => done(bytes.subarray(offset, offset + length)));
      },
      close: () => calls.cancel(),
    };
  }

  remove(name: string): void {
    const bytes = this.disk.files.get(name);
    if (bytes === undefined) return;
    this.disk.files.delete(name);
    this.disk.removed.set(name, bytes);
  }
}

/** One callback at a time, which may be called off. */
class Calls {
  private cancelLast: (() => void) | undefined;
  private cancelled = false;

  constructor(private readonly timers: Timers) {}

  later(callback: () => void): void {
    assert(this.cancelLast === undefined && !this.cancelled, "a file has one call at a time");
    this.cancelLast = this.timers.after(0, () => {
      this.cancelLast = undefined;
      callback();
    });
  }

  cancel(): void {
    this.cancelled = true;
    this.cancelLast?.();
    this.cancelLast = undefined;
  }
}
