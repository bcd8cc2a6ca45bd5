export { ClientError } from "./errors.js";
export type { ApiVersionName, RawClientOptions } from "./options.js";
export { RawClient, type RawClientConfig } from "./rawkv.js";
export type {
  Bytes,
  CasResult,
  KvPair,
  OperationOptions,
  PutOptions,
  RawChecksum,
  RawPair,
  ScanOptions,
} from "./rawkv_types.js";
