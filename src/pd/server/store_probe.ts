/**
 * Asks an address whether it is a certain store of a certain cluster, over the store's own gRPC
 * service: a read with that cluster and store in its context, which every store checks first.
 * Why: ../core/store_rules.ts.
 */
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { fromBigInt, type kvrpcpb, methodDefinition, methodInfo } from "../../pb/index.js";
import type { ProbeAnswer } from "../core/index.js";

/** Asks `address` for store `storeId` of cluster `clusterId`; always resolves, in `timeoutMs`. */
export type StoreProbe = (
  address: string,
  storeId: bigint,
  clusterId: bigint,
  timeoutMs: number,
) => Promise<ProbeAnswer>;

function answerOf(error: ServiceError | null, response: kvrpcpb.RawGetResponse | undefined) {
  if (error !== null) {
    if (error.code === status.UNAVAILABLE) return "gone";
    return error.code === status.DEADLINE_EXCEEDED ? "silent" : "other";
  }
  // A store checks its id before the region: any other answer comes from the store we asked for.
  return response?.regionError?.storeNotMatch ? "other" : "same";
}

export const probeStore: StoreProbe = (address, storeId, clusterId, timeoutMs) => {
  const method = methodDefinition(methodInfo("tikvpb.Tikv", "RawGet"));
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.initial_reconnect_backoff_ms": timeoutMs,
  });
  const request: kvrpcpb.IRawGetRequest = {
    context: { clusterId: fromBigInt(clusterId), peer: { storeId: fromBigInt(storeId) } },
  };
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      { deadline: Date.now() + timeoutMs },
      (error, response) => {
        client.close();
        resolve(answerOf(error, response));
      },
    );
  });
};
