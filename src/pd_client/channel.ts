/**
 * Channels and unary calls over grpc-js, for PD and for stores. Failures are values: a status and a
 * text; nothing here retries.
 */
import {
  type CallOptions,
  Client,
  type ClientUnaryCall,
  credentials,
  Metadata,
  status,
} from "@grpc/grpc-js";
import { err, errorMessage, ok, type Result } from "../base/index.js";
import { deserializer, type MethodInfo, serializer } from "../pb/index.js";

/** A call that did not get an answer. `status` is gRPC's number. */
export interface CallFailure {
  readonly status: status;
  readonly message: string;
}

/**
 * Received messages are not limited, as in client-go; retries are the callers'; http_proxy is
 * ignored because stores and PD are inside of the cluster's network. Channels to the same address do
 * not share connections: whoever opens two wants two.
 */
const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1000,
  "grpc.enable_retries": 0,
  "grpc.enable_http_proxy": 0,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.service_config_disable_resolution": 1,
} as const;

/** Returns a channel to host:port. It connects at the first call. The caller closes it. */
export function openChannel(address: string): Client {
  return new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
}

/** Returns an absolute deadline for grpc-js, `timeoutMs` from now. */
export function deadlineAfter(timeoutMs: number): CallOptions {
  return { deadline: Date.now() + timeoutMs };
}

/** Calls a unary method once. Ends with CANCELLED when `signal` fires. */
export function callUnary<ReqIn, Res>(
  channel: Client,
  info: MethodInfo<ReqIn, unknown, never, Res>,
  request: ReqIn,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Result<Res, CallFailure>> {
  return new Promise((resolve) => {
    let call: ClientUnaryCall;
    const cancel = (): void => call.cancel();
    try {
      call = channel.makeUnaryRequest(
        info.path,
        serializer(info.request),
        deserializer(info.response),
        request,
        new Metadata(),
        deadlineAfter(timeoutMs),
        (error, response) => {
          signal?.removeEventListener("abort", cancel);
          if (error !== null) resolve(err({ status: error.code, message: error.details }));
          else resolve(ok(response as Res));
        },
      );
    } catch (error) {
      // A closed channel throws instead of failing the call.
      resolve(err({ status: status.UNAVAILABLE, message: errorMessage(error) }));
      return;
    }
    if (signal?.aborted) cancel();
    else signal?.addEventListener("abort", cancel, { once: true });
  });
}
