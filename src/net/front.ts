/**
 * A TCP listener that reads the first bytes of each connection and hands the socket to the server
 * of that protocol: h2 (gRPC over prior-knowledge HTTP/2) or HTTP/1.1. It owns sockets until they
 * are handed over and counts them until they close; it does not speak either protocol.
 * What is silent, garbage or over the cap is closed, with one log line per peer per minute.
 */
import { createServer, type Server, type Socket } from "node:net";
import {
  type Clock,
  errorMessage,
  type Logger,
  type MetricsRegistry,
  TikvError,
} from "../base/index.js";
import { PeerLogLimit } from "./peer_log_limit.js";
import { SNIFF_BYTES_MAX, type Sniffed, sniff } from "./sniff.js";

export interface FrontOptions {
  readonly host: string;
  /** 0 takes a free port; `Front.port` tells which. */
  readonly port: number;
  /** Open connections above which new ones are closed at once. */
  readonly connectionsMax: number;
  /** Milliseconds within which the first bytes must tell the protocol. */
  readonly sniffTimeoutMs: number;
}

/** Bounds of a front: 10,000 connections (bad-input S1), one second of silence. */
export const FRONT_DEFAULTS = { connectionsMax: 10_000, sniffTimeoutMs: 1000 } as const;

/**
 * Where sockets go. The first bytes are still unread in the socket. A handler owns the socket.
 * Without `http1`, HTTP/1.1 is closed like garbage.
 */
export interface FrontHandlers {
  readonly h2: (socket: Socket) => void;
  readonly http1?: (socket: Socket) => void;
}

export interface FrontDeps {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
}

export interface Front {
  /** The host as configured. */
  readonly host: string;
  /** The port that is really bound. */
  readonly port: number;
  /** Open connections, undecided ones included. */
  connections(): number;
  /** Stops accepting. Connections that were handed over stay open. Idempotent. */
  stopListening(): Promise<void>;
  /** Stops accepting and destroys every connection that is still open. Idempotent. */
  destroy(): Promise<void>;
}

const LOG_INTERVAL_MS = 60_000;
const LOG_PEERS_MAX = 1024;

/** Why a connection was closed before it reached a server; the metric's label. */
type Refusal = "tls" | "garbage" | "http1" | "silence" | "connection_limit";

const REFUSAL_TEXT: Readonly<Record<Refusal, string>> = {
  tls: "connection closed: TLS is not expected on this port",
  garbage: "connection closed: neither HTTP/2 nor HTTP/1.1",
  http1: "connection closed: HTTP/1.1 is not served on this port",
  silence: "connection closed: nothing was sent in time",
  connection_limit: "connection closed: too many connections",
};

class FrontListener implements Front {
  readonly host: string;
  private readonly options: FrontOptions;
  private readonly handlers: FrontHandlers;
  private readonly deps: FrontDeps;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly logLimit = new PeerLogLimit(LOG_INTERVAL_MS, LOG_PEERS_MAX);
  private readonly refused;
  private boundPort = 0;
  private closing: Promise<void> | undefined;

  constructor(options: FrontOptions, handlers: FrontHandlers, deps: FrontDeps) {
    this.host = options.host;
    this.options = options;
    this.handlers = handlers;
    this.deps = deps;
    this.refused = deps.metrics.counter({
      name: "rutile_connections_refused_total",
      help: "Connections closed before they reached a server, by reason.",
      labelNames: ["reason"],
    });
    this.server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
      this.onConnection(socket);
    });
  }

  get port(): number {
    return this.boundPort;
  }

  connections(): number {
    return this.sockets.size;
  }

  listen(): Promise<void> {
    const { host, port } = this.options;
    return new Promise((resolve, reject) => {
      this.server.once("error", (error: NodeJS.ErrnoException) => {
        reject(listenError(host, port, error));
      });
      this.server.listen(port, host, () => {
        const address = this.server.address();
        if (address !== null && typeof address === "object") this.boundPort = address.port;
        this.server.removeAllListeners("error");
        // Accept errors (EMFILE) end one connection, not the process.
        this.server.on("error", (error) => {
          this.deps.logger.warn("listener error", { port: this.boundPort }, error);
        });
        resolve();
      });
    });
  }

  stopListening(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      // The callback waits for connections to end; not listening any more takes effect at once.
      this.server.close(() => resolve());
    });
    return Promise.resolve();
  }

  async destroy(): Promise<void> {
    await this.stopListening();
    // A socket's own close comes after the listener's: who awaits this finds no connection left.
    const closed = [...this.sockets].map(
      (socket) => new Promise((resolve) => socket.once("close", resolve)),
    );
    for (const socket of this.sockets) socket.destroy();
    await Promise.all([this.closing, ...closed]);
  }

  private onConnection(socket: Socket): void {
    socket.on("error", ignoreSocketError);
    if (this.sockets.size >= this.options.connectionsMax) {
      this.refuse(socket, "connection_limit");
      return;
    }
    this.sockets.add(socket);
    socket.once("close", () => this.sockets.delete(socket));
    this.awaitProtocol(socket);
  }

  private awaitProtocol(socket: Socket): void {
    let head: Buffer = Buffer.alloc(0);
    const stop = (): void => {
      clearTimeout(timer);
      socket.removeListener("readable", onReadable);
      socket.removeListener("close", stop);
      socket.removeListener("end", onEnd);
    };
    const onEnd = (): void => {
      stop();
      socket.destroy();
    };
    const onReadable = (): void => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      const sniffed = sniff(head.subarray(0, SNIFF_BYTES_MAX));
      if (sniffed === "more") return;
      stop();
      this.dispatch(socket, sniffed, head);
    };
    const timer = setTimeout(() => {
      // After a stall of this loop the bytes may wait in the kernel: one poll phase reads them.
      setImmediate(() => {
        if (socket.listeners("readable").includes(onReadable)) {
          stop();
          this.refuse(socket, "silence");
        }
      });
    }, this.options.sniffTimeoutMs);
    socket.on("readable", onReadable);
    socket.once("close", stop);
    socket.once("end", onEnd);
  }

  private dispatch(socket: Socket, sniffed: Exclude<Sniffed, "more">, head: Buffer): void {
    const handler =
      sniffed === "h2" ? this.handlers.h2 : sniffed === "http1" ? this.handlers.http1 : undefined;
    if (handler === undefined) {
      this.refuse(socket, sniffed as Refusal);
      return;
    }
    socket.unshift(head);
    handler(socket);
  }

  private refuse(socket: Socket, reason: Refusal): void {
    const peer = socket.remoteAddress ?? "unknown";
    this.refused.inc(1, { reason });
    socket.destroy();
    if (this.logLimit.allow(peer, this.deps.clock.monotonicMs())) {
      this.deps.logger.warn(REFUSAL_TEXT[reason], { peer, port: this.boundPort });
    }
  }
}

/** Sockets of peers fail at any time; each protocol server notices the close by itself. */
function ignoreSocketError(): void {}

function listenError(host: string, port: number, cause: NodeJS.ErrnoException): TikvError {
  if (cause.code === "EADDRINUSE") {
    return new TikvError("RUTILE:Net:AddressInUse", `cannot listen on ${host}:${port}: in use`, {
      cause,
    });
  }
  const text = `cannot listen on ${host}:${port}: ${errorMessage(cause)}`;
  return new TikvError("RUTILE:Net:Listen", text, { cause });
}

/**
 * Listens on `options.host:options.port`. Rejects with RUTILE:Net:AddressInUse when the port is
 * taken and RUTILE:Net:Listen for any other refusal of the operating system.
 */
export async function listenFront(
  options: FrontOptions,
  handlers: FrontHandlers,
  deps: FrontDeps,
): Promise<Front> {
  const front = new FrontListener(options, handlers, deps);
  await front.listen();
  return front;
}
