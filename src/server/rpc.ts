/**
 * One served RPC as data: how its bytes become a call and the answer bytes again. The same entry
 * serves unary calls and the cold path of BatchCommands.
 */
import { type Clock, errorMessage, type Logger } from "../base/index.js";
import { type kvrpcpb, type MethodName, type MethodOf, methodInfo } from "../pb/index.js";
import type { Storage } from "../storage/index.js";
import { isOtherCluster } from "./context.js";
import {
  CLUSTER_ID_MISMATCH,
  type GrpcStatus,
  internal,
  invalidArgument,
  unsupported,
} from "./grpc_status.js";

/** The bytes of a response message, or the status that ends the call (or the batch stream). */
export type Served = Uint8Array | GrpcStatus;

/** What a handler may use. */
export interface RpcContext {
  readonly storage: Storage;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface Rpc {
  /** Name of the method in tikvpb.Tikv. */
  readonly method: MethodName<"tikvpb.Tikv">;
  /** Field number in the oneof of BatchCommands; 0 = unary only. */
  readonly cmd: number;
  /** Label value of tikv_grpc_msg_duration_seconds. */
  readonly metric: string;
  /**
   * Decodes, calls, encodes. `bytes` may be referenced until the promise resolves. Never throws
   * and never rejects: a failed decode is INVALID_ARGUMENT, a handler that throws INTERNAL.
   */
  serve(context: RpcContext, bytes: Uint8Array): Served | Promise<Served>;
}

/** Tells the two outcomes of `serve` apart. */
export function isStatus(served: Served): served is GrpcStatus {
  return !(served instanceof Uint8Array);
}

/** The decoded request of a method. */
export type RpcRequest<M extends MethodName<"tikvpb.Tikv">> = ReturnType<
  MethodOf<"tikvpb.Tikv", M>["request"]["decode"]
>;
/** What the encoder of a method's response takes. */
export type RpcResponse<M extends MethodName<"tikvpb.Tikv">> = Parameters<
  MethodOf<"tikvpb.Tikv", M>["response"]["encode"]
>[0];

/** What a handler gives. */
export type RpcAnswer<M extends MethodName<"tikvpb.Tikv">> =
  | RpcResponse<M>
  | EncodedResponse
  | Unsupported<RpcResponse<M>>;

/** A response that was written to the wire by hand. */
export class EncodedResponse {
  constructor(readonly bytes: Uint8Array) {}
}

/**
 * A request for what is not built, of a method that is: a unary call ends with UNIMPLEMENTED; in a
 * batch, where a status would end the stream, the response says it.
 */
export class Unsupported<R> {
  constructor(
    readonly text: string,
    readonly response: R,
  ) {}
}

interface Codecs {
  readonly path: string;
  readonly request: { decode(bytes: Uint8Array): unknown };
  readonly response: { encode(message: object): { finish(): Uint8Array } };
}

function onThrown(context: RpcContext, path: string, error: unknown): GrpcStatus {
  context.logger.error("request handler failed", { path }, error);
  return internal("internal error, see the log of the store");
}

/** Returns the entry of `method`, whose handler takes messages and gives them, encoded or not. */
export function rpc<M extends MethodName<"tikvpb.Tikv">>(
  method: M,
  cmd: number,
  metric: string,
  handler: (
    storage: Storage,
    request: RpcRequest<M>,
    context: RpcContext,
  ) => RpcAnswer<M> | Promise<RpcAnswer<M>>,
): Rpc {
  const info = methodInfo("tikvpb.Tikv", method) as unknown as Codecs;
  const call = handler as (
    storage: Storage,
    request: unknown,
    context: RpcContext,
  ) => object | Promise<object>;
  const encode = (message: object): Uint8Array => info.response.encode(message).finish();
  const finish = (answer: object): Served => {
    if (answer instanceof EncodedResponse) return answer.bytes;
    if (!(answer instanceof Unsupported)) return encode(answer);
    return unsupported(answer.text, encode(answer.response as object));
  };
  return {
    method,
    cmd,
    metric,
    serve(context, bytes) {
      let request: { readonly context?: kvrpcpb.Context | null };
      try {
        request = info.request.decode(bytes) as typeof request;
      } catch (error) {
        return invalidArgument(`cannot decode the request: ${errorMessage(error)}`);
      }
      if (isOtherCluster(request.context ?? null, context.storage.clusterId)) {
        return CLUSTER_ID_MISMATCH;
      }
      try {
        const reply = call(context.storage, request, context);
        if (!(reply instanceof Promise)) return finish(reply);
        return reply.then(finish).catch((error) => onThrown(context, info.path, error));
      } catch (error) {
        return onThrown(context, info.path, error);
      }
    },
  };
}
