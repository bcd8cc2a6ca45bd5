export {
  API_VERSION,
  type ApiVersion,
  checkRawKeys,
  checkRawRanges,
  decodeRawKey,
  encodeRawKey,
  KEYSPACE_ID_MAX,
  KEYSPACE_ID_NULL,
  type KeyMode,
  keyModeOf,
  keyspacePrefix,
  prefixedRange,
  type RawCheck,
  rangeModeOf,
  ttlEnabled,
} from "./api_version.js";
export * from "./key.js";
export * from "./keys.js";
export * from "./memcomparable.js";
export * from "./number.js";
export {
  decodeRawValue,
  encodeRawValue,
  expireTsOf,
  isExpired,
  type RawValue,
  rawValueSuffix,
} from "./raw_value.js";
export * from "./timestamp.js";
