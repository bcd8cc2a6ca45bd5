/** What the bindings can do beyond the contract; the conformance suite skips by it. */
import type { EngineBinding } from "./types.js";

export interface EngineSupports {
  /** Data outlive the process, and a directory is locked against other processes. */
  readonly disk: boolean;
  /** Taking a snapshot costs O(1) and no read of data. */
  readonly snapshotConstantTime: boolean;
  /** Snapshots that may be open at a time. */
  readonly snapshotsMax: number;
  /** `approximateSize` counts data on disk. */
  readonly approximateSize: boolean;
  /** A range of any size is deleted by one record, at a cost that does not grow with the range. */
  readonly rangeDeleteCheap: boolean;
}

export const ENGINE_SUPPORTS: Readonly<Record<EngineBinding, EngineSupports>> = {
  memory: {
    disk: false,
    snapshotConstantTime: true,
    snapshotsMax: Number.POSITIVE_INFINITY,
    approximateSize: true,
    rangeDeleteCheap: false,
  },
  rocksdb: {
    disk: true,
    snapshotConstantTime: false,
    snapshotsMax: 256,
    approximateSize: true,
    rangeDeleteCheap: false,
  },
  librocksdb: {
    disk: true,
    snapshotConstantTime: true,
    snapshotsMax: Number.POSITIVE_INFINITY,
    approximateSize: true,
    rangeDeleteCheap: true,
  },
};
