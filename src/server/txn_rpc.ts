/**
 * What the handlers of transactional RPCs share: the call with its costs, how a failure becomes
 * response fields, the entry of the RPC table. A response carries a region error or a key error,
 * never both.
 */
import { assert, type Clock } from "../base/index.js";
import type { errorpb, kvrpcpb, MethodName } from "../pb/index.js";
import type { ExecDetails, TxnReply, TxnStorage, TxnStorageError } from "../storage/index.js";
import type { RequestOf, ResultOf, TxnCommandKind, TxnError } from "../txn/index.js";
import { regionErrorToProto } from "./error_map.js";
import { newExecDetails, readDetailsToProto, writeDetailsToProto } from "./exec_details.js";
import { keyErrorToProto } from "./key_error.js";
import { type Rpc, type RpcAnswer, type RpcRequest, rpc } from "./rpc.js";
import { txnContext } from "./txn_context.js";
import { txnErrorText } from "./txn_error_text.js";

/** One request under way, and what it has cost so far. */
export class TxnCall {
  readonly details: ExecDetails = newExecDetails();
  private readonly startMs: number;

  constructor(
    readonly storage: TxnStorage,
    private readonly clock: Clock,
  ) {
    this.startMs = clock.monotonicMs();
  }

  /** Runs a command under its latches. */
  run<K extends TxnCommandKind>(
    context: kvrpcpb.Context | null,
    request: RequestOf<K>,
  ): Promise<TxnReply<ResultOf<K>>> {
    return this.storage.run<K>(txnContext(context), request, this.details);
  }

  /** The details of a read that is answered now. */
  readDetails(): kvrpcpb.IExecDetailsV2 {
    return readDetailsToProto(this.details, this.clock.monotonicMs() - this.startMs);
  }

  /** The details of a command that is answered now. */
  writeDetails(): kvrpcpb.IExecDetailsV2 {
    return writeDetailsToProto(this.details, this.clock.monotonicMs() - this.startMs);
  }
}

/** Tells what a command that is answered now has cost. */
export type WriteCosts = Pick<TxnCall, "writeDetails">;

/** The fields of a response that says where the region is, or why it cannot answer. */
export type RegionFailure = { readonly regionError: errorpb.IError };

/** Returns the routing error that a failure is; undefined: it is about a key. */
function routing(error: TxnStorageError): RegionFailure | undefined {
  if (error.type === "region") return { regionError: regionErrorToProto(error.error) };
  // TiKV sends no message with it.
  const { kind } = error.error;
  return kind === "maxTimestampNotSynced"
    ? { regionError: { maxTimestampNotSynced: {} } }
    : undefined;
}

/** What a failure of storage says of the transaction. */
function keyPart(error: TxnStorageError): TxnError {
  assert(error.type === "txn", "what is no routing error is one of the transaction");
  return error.error;
}

/** Returns the fields of a response with `error: KeyError`. */
export function failed(error: TxnStorageError): RegionFailure | { error: kvrpcpb.IKeyError } {
  return routing(error) ?? { error: keyErrorToProto(keyPart(error)) };
}

/** Returns the fields of a response with `errors: KeyError[]` and, unless it is routing, details. */
export function failedKeys(
  error: TxnStorageError,
  call: WriteCosts,
): RegionFailure | { errors: kvrpcpb.IKeyError[]; execDetailsV2: kvrpcpb.IExecDetailsV2 } {
  const failure = routing(error);
  if (failure !== undefined) return failure;
  return { errors: [keyErrorToProto(keyPart(error))], execDetailsV2: call.writeDetails() };
}

/** Returns the fields of a response with `error: string`. */
export function failedText(error: TxnStorageError): RegionFailure | { error: string } {
  return routing(error) ?? { error: txnErrorText(keyPart(error)) };
}

/** Returns the entry of a transactional method. */
export function txnRpc<M extends MethodName<"tikvpb.Tikv">>(
  method: M,
  cmd: number,
  metric: string,
  handler: (call: TxnCall, request: RpcRequest<M>) => RpcAnswer<M> | Promise<RpcAnswer<M>>,
): Rpc {
  return rpc(method, cmd, metric, (storage, request, { clock }) =>
    handler(new TxnCall(storage.txn, clock), request),
  );
}
