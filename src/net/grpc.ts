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
   * Resolves when no connection is left, or shortly after the cut: the front destroys what stays.
   */
  shutdown(graceMs: number): Promise<void>;
}

/** How long connections may take to close once their calls are cut. */
const CUT_MS = 500;

/** Returns the injector of `server`, on which the services were or will be added. */
export function grpcInjector(server: Server): GrpcInjector {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  /** Sockets handed over that are not closed yet. */
  const sockets = new Set<Socket>();
  let stopping = false;
  let onEmpty = (): void => {};
  const own = (socket: Socket): void => {
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      if (sockets.size === 0) onEmpty();
    });
    injector.injectConnection(socket);
  };
  return {
    inject: (socket) => {
      // A socket that was still being sniffed when the shutdown began.
      if (stopping) socket.destroy();
      else own(socket);
    },
    shutdown: (graceMs) =>
      new Promise((resolve) => {
        stopping = true;
        // Not forceShutdown: without channelz it knows no sessions and cuts none.
        let timer = setTimeout(() => {
          injector.drain(0);
          timer = setTimeout(done, CUT_MS);
        }, graceMs);
        const done = (): void => {
          clearTimeout(timer);
          resolve();
        };
        // Sockets are counted instead of waiting for the callback: it comes never for a session
        // that was destroyed and has not emitted "close" yet, and too early on Node 24, whose
        // server.close() marks sessions closed that still have calls.
        onEmpty = done;
        server.tryShutdown(() => {});
        if (sockets.size === 0) done();
      }),
  };
}
