/**
 * PD's one client port: gRPC, the etcd v3 API and HTTP/1.1 behind a sniffing listener. Order of
 * stop: no new connections, idle HTTP closed, gRPC drained, the rest cut.
 */
import type { RequestListener } from "node:http";
import { Server, type UntypedServiceImplementation } from "@grpc/grpc-js";
import {
  type FrontDeps,
  grpcInjector,
  HTTP1_DEFAULTS,
  http1Injector,
  listenFront,
} from "../../net/index.js";
import { type ServiceName, serviceDefinition } from "../../pb/index.js";
import type { PdLimits } from "./options.js";

export interface ClientPort {
  readonly port: number;
  stop(): Promise<void>;
}

export interface ClientPortServices {
  readonly grpc: readonly (readonly [ServiceName, UntypedServiceImplementation])[];
  readonly http: RequestListener;
}

/** Listens on host:port and serves. Rejects with RUTILE:Net:AddressInUse or RUTILE:Net:Listen. */
export async function openClientPort(
  address: { readonly host: string; readonly port: number },
  limits: PdLimits,
  services: ClientPortServices,
  deps: FrontDeps,
): Promise<ClientPort> {
  const server = new Server({
    "grpc.max_receive_message_length": limits.messageSizeMaxBytes,
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": limits.concurrentStreams,
    "grpc.enable_channelz": 0,
  });
  for (const [name, implementation] of services.grpc) {
    server.addService(serviceDefinition(name), implementation);
  }
  const grpc = grpcInjector(server);
  const http = http1Injector(services.http, HTTP1_DEFAULTS);
  const front = await listenFront(
    { ...address, connectionsMax: limits.connectionsMax, sniffTimeoutMs: limits.sniffTimeoutMs },
    { h2: grpc.inject, http1: http.inject },
    deps,
  );
  return {
    port: front.port,
    stop: async () => {
      await front.stopListening();
      http.shutdown();
      await grpc.shutdown(limits.shutdownGraceMs);
      await front.destroy();
    },
  };
}
