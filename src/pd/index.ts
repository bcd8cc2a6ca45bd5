export type { ScheduleConfig } from "./schedule/index.js";
export type { PdGc } from "./server/gc_control.js";
export { PD_DEFAULTS, PD_LIMITS, type PdLimits, type PdOptions } from "./server/options.js";
export { type Pd, type PdDeps, startPd } from "./server/pd.js";
export type { StoreProbe } from "./server/store_probe.js";
