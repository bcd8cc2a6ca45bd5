/** How far an engine's flushes and compactions are behind, for flow control and metrics. */

/** What has to be done before the engine is in order again; zeros for memory. */
export interface EnginePressure {
  /** Full memtables that are not flushed yet. */
  readonly immutableMemtables: number;
  readonly level0Files: number;
  /** An estimate. */
  readonly pendingCompactionBytes: number;
}

/** Nothing to be done. */
export const NO_PRESSURE: EnginePressure = {
  immutableMemtables: 0,
  level0Files: 0,
  pendingCompactionBytes: 0,
};

/** Asks RocksDB how far behind it is, by its properties. */
export function pressureOf(property: (name: string) => number): EnginePressure {
  return {
    immutableMemtables: property("rocksdb.num-immutable-mem-table"),
    level0Files: property("rocksdb.num-files-at-level0"),
    pendingCompactionBytes: property("rocksdb.estimate-pending-compaction-bytes"),
  };
}
