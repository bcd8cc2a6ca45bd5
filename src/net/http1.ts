/**
 * A node:http server behind a front: it takes HTTP/1.1 sockets instead of a port of its own.
 * Bounds header size and the time that a request may take to arrive.
 */
import { createServer, type RequestListener } from "node:http";
import type { Socket } from "node:net";

export interface Http1Options {
  /** Milliseconds until the headers of a request must be complete. */
  readonly headersTimeoutMs: number;
  /** Milliseconds until a whole request must have arrived. */
  readonly requestTimeoutMs: number;
  /** Milliseconds that an idle connection is kept. */
  readonly keepAliveTimeoutMs: number;
  readonly headerSizeMaxBytes: number;
}

export const HTTP1_DEFAULTS: Http1Options = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 30_000,
  headerSizeMaxBytes: 16 * 1024,
};

export interface Http1Injector {
  /** Gives a socket whose first unread bytes are an HTTP/1.1 request to the HTTP server. */
  inject(socket: Socket): void;
  /** Closes idle connections; busy ones close after their response. Idempotent. */
  shutdown(): void;
}

const CHECKS_PER_TIMEOUT = 4;

/** Returns an HTTP/1.1 server that calls `listener` for each request. */
export function http1Injector(listener: RequestListener, options: Http1Options): Http1Injector {
  const server = createServer(
    {
      headersTimeout: options.headersTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: options.keepAliveTimeoutMs,
      maxHeaderSize: options.headerSizeMaxBytes,
      connectionsCheckingInterval: Math.ceil(options.headersTimeoutMs / CHECKS_PER_TIMEOUT),
    },
    listener,
  );
  // Node starts checking the two timeouts on "listening", which never comes: this server has no
  // port of its own.
  server.emit("listening");
  return {
    inject: (socket) => {
      server.emit("connection", socket);
    },
    shutdown: () => {
      // close() reports that it was not listening; what counts is that it stops the checks.
      server.close(() => {});
      server.closeIdleConnections();
    },
  };
}
