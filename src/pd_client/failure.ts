/** From what PD answered to what a caller is told: header errors and gRPC statuses as PdFailure. */
import { status } from "@grpc/grpc-js";
import { pdpb } from "../pb/index.js";
import type { CallFailure } from "./channel.js";
import type { PdFailure } from "./types.js";

/** Texts by which PD says that another member leads. Source: pd client/errs/errno.go. */
const LEADER_CHANGED = /not leader|no leader|is not served|not primary|server not started/;
const WRONG_CLUSTER = /mismatch cluster id/;

/** Returns a failure of kind "unavailable". */
export function unavailable(message: string, grpcStatus?: number): PdFailure {
  return grpcStatus === undefined
    ? { kind: "unavailable", message }
    : { kind: "unavailable", message, grpcStatus };
}

/** Returns whether asking the leader anew, after reading the members again, can help. */
export function isLeaderChange(failure: CallFailure): boolean {
  return failure.status === status.UNAVAILABLE || LEADER_CHANGED.test(failure.message);
}

/** Returns the failure of a call. */
export function callFailure(failure: CallFailure): PdFailure {
  const { status: grpcStatus, message } = failure;
  if (WRONG_CLUSTER.test(message)) return { kind: "clusterMismatch", message, grpcStatus };
  const again =
    isLeaderChange(failure) ||
    grpcStatus === status.DEADLINE_EXCEEDED ||
    grpcStatus === status.CANCELLED;
  return { kind: again ? "unavailable" : "refused", message, grpcStatus };
}

/** Returns the failure in a response's header, undefined if there is none. */
export function headerFailure(header: pdpb.ResponseHeader | null): PdFailure | undefined {
  if (header === null) return { kind: "refused", message: "PD answered without a header" };
  const error = header.error;
  if (error === null || error.type === pdpb.ErrorType.OK) return undefined;
  const { message } = error;
  switch (error.type) {
    case pdpb.ErrorType.ALREADY_BOOTSTRAPPED:
      return { kind: "alreadyBootstrapped", message };
    case pdpb.ErrorType.STORE_TOMBSTONE:
      return { kind: "storeTombstone", message };
    case pdpb.ErrorType.NOT_BOOTSTRAPPED:
      return unavailable(message);
    default:
      if (WRONG_CLUSTER.test(message)) return { kind: "clusterMismatch", message };
      return LEADER_CHANGED.test(message) ? unavailable(message) : { kind: "refused", message };
  }
}
