/** A server that answers as a store does to the probe of PD: who it is, and nothing else. */
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { fromBigInt, type kvrpcpb, serviceDefinition, toBigInt } from "../../src/pb/index.js";

export interface FakeTikv {
  readonly address: string;
  stop(): Promise<void>;
}

/** Serves Tikv/RawGet as store `storeId` of cluster `clusterId` on `port` (0 = any). */
export function startFakeTikv(clusterId: bigint, storeId: bigint, port = 0): Promise<FakeTikv> {
  const server = new Server();
  server.addService(serviceDefinition("tikvpb.Tikv"), {
    RawGet: (
      call: ServerUnaryCall<kvrpcpb.RawGetRequest, kvrpcpb.IRawGetResponse>,
      reply: sendUnaryData<kvrpcpb.IRawGetResponse>,
    ) => {
      const context = call.request.context;
      if (toBigInt(context?.clusterId ?? 0) !== clusterId) {
        const details = "the cluster id of the request does not match the TiKV cluster";
        reply({ code: status.INVALID_ARGUMENT, details });
        return;
      }
      const asked = context?.peer?.storeId ?? 0;
      const same = toBigInt(asked) === storeId;
      const storeNotMatch = { requestStoreId: asked, actualStoreId: fromBigInt(storeId) };
      reply(null, { regionError: same ? { regionNotFound: {} } : { storeNotMatch } });
    },
  });
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error !== null) {
        reject(error);
        return;
      }
      const stop = (): Promise<void> =>
        new Promise((done) => {
          server.forceShutdown();
          done();
        });
      resolve({ address: `127.0.0.1:${bound}`, stop });
    });
  });
}
