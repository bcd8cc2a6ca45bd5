export * from "./atomic.js";
export * from "./check.js";
export * from "./checksum.js";
export * from "./expire.js";
export * from "./format.js";
export * from "./store.js";
