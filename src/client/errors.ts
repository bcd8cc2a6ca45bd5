/**
 * What a client throws. The code tells what happened and is stable; the message is for people and
 * ends with the remedy; `attempts` lists what was tried before giving up.
 */
import { ERROR_CODES, type ErrorCode, TikvError } from "../base/index.js";

/** A failed operation of a client. */
export class ClientError extends TikvError {
  override readonly name: string = "ClientError";
  /** The reasons for retries before this error, oldest first; at most a few. */
  readonly attempts: readonly string[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly attempts?: readonly string[] } = {},
  ) {
    const attempts = options.attempts ?? [];
    const tried = attempts.length === 0 ? "" : ` (tried: ${attempts.join("; ")})`;
    super(code, `${message}${tried}. ${ERROR_CODES[code].remedy}`, { cause: options.cause });
    this.attempts = attempts;
  }
}

/** Returns an error for an argument that cannot be sent. */
export function invalidArgument(message: string): ClientError {
  return new ClientError("RUTILE:Client:InvalidArgument", message);
}

/** What a store says in the `error` field of a raw response. Source: tikv storage/errors.rs. */
const STORE_TEXTS: readonly (readonly [RegExp, ErrorCode])[] = [
  [/max key size exceeded/i, "KV:Storage:KeyTooLarge"],
  [/ttl is not enabled|ttl not enabled/i, "KV:Storage:TtlNotEnabled"],
  [/api version in request does not match/i, "KV:Storage:ApiVersionNotMatched"],
  [/invalid (key mode|key range mode)/i, "KV:Storage:ApiVersionNotMatched"],
  [/invalid cf|cf .* not found/i, "KV:Storage:InvalidCf"],
];

/** Returns the error for a store's refusal `text` of `command`. */
export function refusal(command: string, text: string): ClientError {
  const code = STORE_TEXTS.find(([pattern]) => pattern.test(text))?.[1] ?? "RUTILE:Client:Refused";
  return new ClientError(code, `${command}: ${text}`);
}
