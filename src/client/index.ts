export type { ClientPorts } from "./connect.js";
export { ClientError } from "./errors.js";
export type { ApiVersionName, RawClientOptions } from "./options.js";
export type { ClientPd, ClientTime, StoreRpc } from "./ports.js";
export { RawClient, type RawClientConfig } from "./rawkv.js";
export type { CasResult, PutOptions, RawChecksum, RawPair } from "./rawkv_types.js";
export * from "./txn/index.js";
export type { Bytes, KvPair, OperationOptions, ScanOptions } from "./types.js";
