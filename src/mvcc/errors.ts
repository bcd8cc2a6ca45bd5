/**
 * The one failure that a synchronous reader throws besides codec errors: a value that a record
 * points to is not there. Who runs commands and reads catches it and answers `defaultNotFound`.
 */
import { TikvError, toHex } from "../base/index.js";

/** Damage: the write record of `key` has no value in the default CF. */
export class DefaultNotFoundError extends TikvError {
  /** Encoded. */
  readonly key: Uint8Array;

  constructor(key: Uint8Array, startTs: bigint) {
    super(
      "KV:Storage:DefaultNotFound",
      `the value of key ${toHex(key)} written at ${startTs} is missing in the default CF`,
    );
    this.key = key;
  }
}
