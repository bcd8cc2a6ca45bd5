export * from "./endpoint/cluster.js";
export * from "./endpoint/config.js";
export { keyPath } from "./endpoint/key_path.js";
export * from "./endpoint/tso.js";
export { engineKv, type Kv, type KvChange } from "./kv.js";
