export { CF_PREFIX, cfKey, cfUpperBound } from "./cf.js";
export { EngineFaults, FaultEngine } from "./fault.js";
export { librocksdbPresent } from "./librocksdb_api.js";
export { MemoryDisk, openMemoryEngine } from "./memory.js";
export { openEngine } from "./open.js";
export { type EnginePressure, NO_PRESSURE } from "./pressure.js";
export { ENGINE_SUPPORTS, type EngineSupports } from "./supports.js";
export type * from "./types.js";
export { CF_NAMES } from "./types.js";
export {
  checkRepresentation,
  mergeRepresentations,
  representationCount,
  WriteBatchBuilder,
  type WriteRecord,
  writeRecords,
} from "./write_batch.js";
