/** Region errors as a store sends them, made up: the bytes of errorpb.Error for each kind. */
import { type errorpb, fromBigInt, kvrpcpb, toBigInt } from "../pb/index.js";

/** The kinds that can be injected, by errorpb's field names. */
export const REGION_ERROR_KINDS = [
  "notLeader",
  "regionNotFound",
  "keyNotInRegion",
  "epochNotMatch",
  "serverIsBusy",
  "staleCommand",
  "storeNotMatch",
  "raftEntryTooLarge",
  "readIndexNotReady",
  "proposalInMergingMode",
  "dataIsNotReady",
  "regionNotInitialized",
  "diskFull",
  "mismatchPeerId",
] as const;
export type RegionErrorKind = (typeof REGION_ERROR_KINDS)[number];

type Detail = (regionId: bigint) => object;

/** Kinds with more than a region id, or without one. */
const DETAILS: Partial<Record<RegionErrorKind, Detail>> = {
  epochNotMatch: () => ({ currentRegions: [] }),
  serverIsBusy: () => ({ reason: "injected", backoffMs: fromBigInt(10n) }),
  staleCommand: () => ({}),
  storeNotMatch: () => ({}),
  diskFull: () => ({ reason: "injected" }),
  mismatchPeerId: () => ({}),
};

/** Returns the error that answers a request whose kvrpcpb.Context is `context`. */
export function regionError(kind: RegionErrorKind, context: kvrpcpb.Context): errorpb.IError {
  const id = context.regionId;
  const detail = DETAILS[kind]?.(toBigInt(id)) ?? { regionId: id };
  return { message: `injected ${kind}`, [kind]: detail };
}

/** Field and wire type of `context` in every request, and of `region_error` in every response. */
const FIRST_FIELD = 0x0a;
const LENGTH_BITS = 7;
const LENGTH_MORE = 0x80;

/** Returns the context of an encoded request; an empty one if it has none in front. */
export function contextOf(request: Uint8Array): kvrpcpb.Context {
  if (request[0] !== FIRST_FIELD) return kvrpcpb.Context.create();
  let length = 0;
  let at = 1;
  for (let shift = 0; ; shift += LENGTH_BITS) {
    const byte = request[at++] ?? 0;
    length |= (byte & (LENGTH_MORE - 1)) << shift;
    if (byte < LENGTH_MORE) break;
  }
  return kvrpcpb.Context.decode(request.subarray(at, at + length));
}

/** Returns the encoded response that holds nothing but `error`. */
export function errorResponse(error: errorpb.IError): Uint8Array {
  // The field has the same number and type in all responses; RawGetResponse stands for them.
  return kvrpcpb.RawGetResponse.encode({ regionError: error }).finish();
}
