/** The one way in which bytes that do not decode are reported. */
import { type ErrorCode, TikvError } from "../base/index.js";

type CodecErrorCode = Extract<ErrorCode, `KV:Codec:${string}`>;

/** Returns the error for bytes that do not have the expected format. */
export function codecError(code: CodecErrorCode, message: string): TikvError {
  return new TikvError(code, message);
}
