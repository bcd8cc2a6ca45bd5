/** gRPC statuses that this server ends calls with. Not here: errors inside responses. */
import { status } from "@grpc/grpc-js";

export interface GrpcStatus {
  readonly code: status;
  readonly details: string;
  /** What a batch answers to this one request, where the status would end the whole stream. */
  readonly batched?: Uint8Array;
}

/** TiKV's answer to a Context with another cluster's id; clients match the text. */
export const CLUSTER_ID_MISMATCH: GrpcStatus = {
  code: status.INVALID_ARGUMENT,
  details: "the cluster id of the request does not match the TiKV cluster",
};

export const SERVER_DRAINING: GrpcStatus = {
  code: status.UNAVAILABLE,
  details: "server is shutting down",
};

export const OK: GrpcStatus = { code: status.OK, details: "OK" };

/** Returns the status of a message that cannot be decoded or contradicts itself. */
export function invalidArgument(details: string): GrpcStatus {
  return { code: status.INVALID_ARGUMENT, details };
}

/** Returns the status of a request beyond a bound. */
export function resourceExhausted(details: string): GrpcStatus {
  return { code: status.RESOURCE_EXHAUSTED, details };
}

/** Returns the status of a method that this store does not serve. */
export function unimplemented(path: string): GrpcStatus {
  return { code: status.UNIMPLEMENTED, details: `The method ${path} is not implemented` };
}

/** Returns the status of a request for what is not built; `batched` says the same in a response. */
export function unsupported(details: string, batched: Uint8Array): GrpcStatus {
  return { code: status.UNIMPLEMENTED, details, batched };
}

/** Returns the status of a handler that threw; the details go to the log, not to the client. */
export function internal(details: string): GrpcStatus {
  return { code: status.INTERNAL, details };
}
