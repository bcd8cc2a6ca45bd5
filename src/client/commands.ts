/** The requests that a raw client sends to stores, and which of them BatchCommands carries. */
import { type errorpb, type kvrpcpb, type MethodInfo, methodInfo } from "../pb/index.js";

/** Command name → [request without its context, response]. */
export interface CommandTypes {
  RawGet: [kvrpcpb.IRawGetRequest, kvrpcpb.RawGetResponse];
  RawBatchGet: [kvrpcpb.IRawBatchGetRequest, kvrpcpb.RawBatchGetResponse];
  RawPut: [kvrpcpb.IRawPutRequest, kvrpcpb.RawPutResponse];
  RawBatchPut: [kvrpcpb.IRawBatchPutRequest, kvrpcpb.RawBatchPutResponse];
  RawDelete: [kvrpcpb.IRawDeleteRequest, kvrpcpb.RawDeleteResponse];
  RawBatchDelete: [kvrpcpb.IRawBatchDeleteRequest, kvrpcpb.RawBatchDeleteResponse];
  RawDeleteRange: [kvrpcpb.IRawDeleteRangeRequest, kvrpcpb.RawDeleteRangeResponse];
  RawScan: [kvrpcpb.IRawScanRequest, kvrpcpb.RawScanResponse];
  RawGetKeyTTL: [kvrpcpb.IRawGetKeyTTLRequest, kvrpcpb.RawGetKeyTTLResponse];
  RawCompareAndSwap: [kvrpcpb.IRawCASRequest, kvrpcpb.RawCASResponse];
  RawChecksum: [kvrpcpb.IRawChecksumRequest, kvrpcpb.RawChecksumResponse];
}

export type CommandName = keyof CommandTypes;
export type RequestOf<C extends CommandName> = CommandTypes[C][0];
export type ResponseOf<C extends CommandName> = CommandTypes[C][1];

/** What every response has. */
export interface AnyResponse {
  readonly regionError: errorpb.Error | null;
  readonly error?: string;
}

const UNARY_ONLY: ReadonlySet<CommandName> = new Set([
  "RawGetKeyTTL",
  "RawCompareAndSwap",
  "RawChecksum",
]);

/** Returns whether BatchCommands has a sub-request for the command. */
export function isBatched(command: CommandName): boolean {
  return !UNARY_ONLY.has(command);
}

/** Returns whether sending the command twice may do something else than sending it once. */
export function isRepeatable(command: CommandName): boolean {
  return command !== "RawCompareAndSwap";
}

/** Returns the unary method of a command. */
export function unaryMethod(command: CommandName): MethodInfo<object, unknown, never, AnyResponse> {
  const info = methodInfo("tikvpb.Tikv", command);
  return info as unknown as MethodInfo<object, unknown, never, AnyResponse>;
}
