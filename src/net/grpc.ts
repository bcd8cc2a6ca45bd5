/**
 * A grpc-js server behind a front: it takes h2 sockets instead of a port of its own, and stops in
 * two steps (finish what runs, then cut). Which services it has is the caller's business.
 */
import type { Socket } from "node:net";
import { type Server, ServerCredentials } from "@grpc/grpc-js";

export interface GrpcInjector {
  /** Gives a socket whose first unread bytes are the HTTP/2 preface to the gRPC server. */
  inject(socket: Socket): void;
  /**
   * Tells clients to go (GOAWAY), lets running calls finish for at most `graceMs`, then cuts them.
   * Resolves when no session is left.
   */
  shutdown(graceMs: number): Promise<void>;
}

/** Returns the injector of `server`, on which the services were or will be added. */
export function grpcInjector(server: Server): GrpcInjector {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  let stopping = false;
  return {
    inject: (socket) => {
      // A socket that was still being sniffed when the shutdown began.
      if (stopping) socket.destroy();
      else injector.injectConnection(socket);
    },
    shutdown: (graceMs) =>
      new Promise((resolve) => {
        stopping = true;
        // Not forceShutdown: without channelz it knows no sessions and cuts none. Not drain before
        // tryShutdown, which takes a session that was told to close for one that has closed.
        const timer = setTimeout(() => injector.drain(0), graceMs);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}
