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
export {
  encodeLock,
  LAST_CHANGE_UNKNOWN,
  type LastChange,
  LOCK_TYPE,
  type Lock,
  type LockType,
  newLock,
  parseLock,
  SHORT_VALUE_MAX_BYTES,
} from "./lock.js";
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
export {
  encodeWrite,
  isProtectedRollback,
  newRollback,
  newWrite,
  parseWrite,
  WRITE_TYPE,
  type Write,
  type WriteType,
} from "./write.js";
