export { ClientError } from "./errors.js";
export type { ApiVersionName, RawClientOptions } from "./options.js";
export { RawClient, type RawClientConfig } from "./rawkv.js";
export type { CasResult, PutOptions, RawChecksum, RawPair } from "./rawkv_types.js";
export type { Bytes, KvPair, OperationOptions, ScanOptions } from "./types.js";
