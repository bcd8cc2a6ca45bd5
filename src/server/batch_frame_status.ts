/** Why a BatchCommands message is refused, as the gRPC status that ends its stream. */
import { BATCH_STATUS_MISMATCH, BATCH_STATUS_TOO_MANY } from "../kernel/index.js";
import { type GrpcStatus, invalidArgument, resourceExhausted } from "./grpc_status.js";

/** Returns the status for a BATCH_STATUS other than OK. */
export function frameStatus(status: number, requestsMax: number): GrpcStatus {
  if (status === BATCH_STATUS_TOO_MANY) {
    return resourceExhausted(`a batch carries more than ${requestsMax} requests`);
  }
  return status === BATCH_STATUS_MISMATCH
    ? invalidArgument("the numbers of requests and request ids differ")
    : invalidArgument("cannot decode the request: BatchCommandsRequest");
}
