/** The requests that clients send to stores, and which of them BatchCommands carries. */
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
  Get: [kvrpcpb.IGetRequest, kvrpcpb.GetResponse];
  BatchGet: [kvrpcpb.IBatchGetRequest, kvrpcpb.BatchGetResponse];
  Scan: [kvrpcpb.IScanRequest, kvrpcpb.ScanResponse];
  Prewrite: [kvrpcpb.IPrewriteRequest, kvrpcpb.PrewriteResponse];
  Commit: [kvrpcpb.ICommitRequest, kvrpcpb.CommitResponse];
  BatchRollback: [kvrpcpb.IBatchRollbackRequest, kvrpcpb.BatchRollbackResponse];
  PessimisticLock: [kvrpcpb.IPessimisticLockRequest, kvrpcpb.PessimisticLockResponse];
  PessimisticRollback: [kvrpcpb.IPessimisticRollbackRequest, kvrpcpb.PessimisticRollbackResponse];
  TxnHeartBeat: [kvrpcpb.ITxnHeartBeatRequest, kvrpcpb.TxnHeartBeatResponse];
  CheckTxnStatus: [kvrpcpb.ICheckTxnStatusRequest, kvrpcpb.CheckTxnStatusResponse];
  CheckSecondaryLocks: [kvrpcpb.ICheckSecondaryLocksRequest, kvrpcpb.CheckSecondaryLocksResponse];
  ResolveLock: [kvrpcpb.IResolveLockRequest, kvrpcpb.ResolveLockResponse];
  ScanLock: [kvrpcpb.IScanLockRequest, kvrpcpb.ScanLockResponse];
  MvccGetByKey: [kvrpcpb.IMvccGetByKeyRequest, kvrpcpb.MvccGetByKeyResponse];
}

export type CommandName = keyof CommandTypes;
export type RequestOf<C extends CommandName> = CommandTypes[C][0];
export type ResponseOf<C extends CommandName> = CommandTypes[C][1];

/** What every response has. `error` is a text in raw responses. */
export interface AnyResponse {
  readonly regionError: errorpb.Error | null;
  readonly error?: string | kvrpcpb.KeyError | null;
}

const UNARY_ONLY: ReadonlySet<CommandName> = new Set([
  "RawGetKeyTTL",
  "RawCompareAndSwap",
  "RawChecksum",
  "MvccGetByKey",
]);

/** Returns whether BatchCommands has a sub-request for the command. */
export function isBatched(command: CommandName): boolean {
  return !UNARY_ONLY.has(command);
}

/** Returns whether sending the command twice may do something else than sending it once. */
export function isRepeatable(command: CommandName): boolean {
  return command !== "RawCompareAndSwap";
}

type TikvMethod = Parameters<typeof methodInfo<"tikvpb.Tikv", never>>[1];

function unaryName(command: CommandName): string {
  if (command.startsWith("Raw") || command.startsWith("Mvcc")) return command;
  return command === "PessimisticRollback" ? "KVPessimisticRollback" : `Kv${command}`;
}

/** Returns the unary method of a command. */
export function unaryMethod(command: CommandName): MethodInfo<object, unknown, never, AnyResponse> {
  const info = methodInfo("tikvpb.Tikv", unaryName(command) as TikvMethod);
  return info as unknown as MethodInfo<object, unknown, never, AnyResponse>;
}
