export * from "./endpoint/cluster.js";
export * from "./endpoint/config.js";
export * from "./endpoint/gc.js";
export { keyPath } from "./endpoint/key_path.js";
export * from "./endpoint/tso.js";
export * from "./etcd_store.js";
export { engineKv, type Kv, type KvChange } from "./kv.js";
