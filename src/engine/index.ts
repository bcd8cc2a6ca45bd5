export { CF_PREFIX, cfKey, cfUpperBound } from "./cf.js";
export type * from "./types.js";
export { CF_NAMES } from "./types.js";
