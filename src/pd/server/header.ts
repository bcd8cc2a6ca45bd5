/** Headers and statuses of pdpb answers, with the texts that clients match. Source: pd errs. */
import { type ServiceError, status } from "@grpc/grpc-js";
import { fromBigInt, pdpb, toBigInt, type Wire64 } from "../../pb/index.js";
import type { Refusal } from "../core/index.js";

/** Returns the header of a good answer. */
export function okHeader(clusterId: bigint): pdpb.IResponseHeader {
  return { clusterId: fromBigInt(clusterId) };
}

/** Returns the header of a refusal that is an answer, not a failed call. */
export function errorHeader(
  clusterId: bigint,
  type: number,
  message: string,
): pdpb.IResponseHeader {
  return { clusterId: fromBigInt(clusterId), error: { type, message } };
}

export function notBootstrapped(clusterId: bigint): pdpb.IResponseHeader {
  return errorHeader(clusterId, pdpb.ErrorType.NOT_BOOTSTRAPPED, "cluster is not bootstrapped");
}

/** Returns the header for a refused store. */
export function refusalHeader(clusterId: bigint, refusal: Refusal): pdpb.IResponseHeader {
  const tombstone = refusal.kind === "tombstone";
  const type = tombstone ? pdpb.ErrorType.STORE_TOMBSTONE : pdpb.ErrorType.UNKNOWN;
  return errorHeader(clusterId, type, refusal.message);
}

/** Returns an error that ends a call with a gRPC status. */
export function statusError(code: status, details: string): ServiceError {
  return Object.assign(new Error(details), { code, details }) as never;
}

/** Returns the error of a request for another cluster, or undefined. A missing header is id 0. */
export function mismatch(
  clusterId: bigint,
  header: { readonly clusterId: Wire64 } | null,
): ServiceError | undefined {
  const given = header === null ? 0n : toBigInt(header.clusterId);
  if (given === clusterId) return undefined;
  const text = `mismatch cluster id, need ${clusterId} but got ${given}`;
  return statusError(status.FAILED_PRECONDITION, text);
}
