export {
  TSO_UPDATE_INTERVAL_MS,
  TsoAllocator,
  type TsoAllocatorMetrics,
  type TsoAllocatorOptions,
  type TsoAnswer,
  type TsoEffects,
} from "./allocator.js";
export { composeTs, type Timestamp, TimestampOracle, TSO_SAVE_INTERVAL_MS } from "./oracle.js";
