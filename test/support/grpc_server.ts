/** A grpc-js server on a free loopback port, for fakes. */
import * as grpc from "@grpc/grpc-js";

export interface BoundServer {
  /** 127.0.0.1:port */
  readonly address: string;
  /** Cuts all connections and frees the port. */
  stop(): void;
}

/** Starts a server with `services`; `port` 0 takes a free one. */
export async function serveGrpc(
  services: readonly (readonly [grpc.ServiceDefinition, grpc.UntypedServiceImplementation])[],
  port = 0,
): Promise<BoundServer> {
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  for (const [definition, implementation] of services)
    server.addService(definition, implementation);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, got) =>
      error === null ? resolve(got) : reject(error),
    );
  });
  return { address: `127.0.0.1:${bound}`, stop: () => server.forceShutdown() };
}
