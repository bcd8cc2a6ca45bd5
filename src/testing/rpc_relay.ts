/**
 * The gRPC relay of a store: behind its TCP proxy, before the store. It passes every stream on as it
 * is, looks into requests of clients where a fault is set, and loses Raft messages where a link says
 * so. It knows from the TCP proxy who is on the other side.
 */
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { filterBatch } from "./batch_filter.js";
import { FrameSplitter, frameOf, messageOf } from "./grpc_frames.js";
import type { Network, Party } from "./network.js";
import { contextOf, errorResponse, regionError } from "./region_errors.js";
import type { RpcFaults } from "./rpc_faults.js";

const LOOPBACK = "127.0.0.1";
/** As wide as TiKV's, so that the relay is not what limits. */
const WINDOW_BYTES = 2 * 1024 * 1024;
const SESSION_MEMORY_MB = 512;

const BATCH_COMMANDS = "BatchCommands";
const RAFT_STREAMS: ReadonlySet<string> = new Set(["Raft", "BatchRaft"]);
/** Requests that are streams of other things than commands. */
const PLAIN_STREAMS: ReadonlySet<string> = new Set(["Snapshot"]);

export interface RelayOptions {
  /** Index of the store. */
  readonly store: number;
  readonly network: Network;
  readonly faults: RpcFaults;
}

export class RpcRelay {
  readonly #options: RelayOptions;
  readonly #server: Http2Server;
  readonly #sources = new Map<number, Party>();
  readonly #upstreams = new Map<ServerHttp2Session, ClientHttp2Session>();
  #targetPort = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#server = createServer({
      maxSessionMemory: SESSION_MEMORY_MB,
      settings: { initialWindowSize: WINDOW_BYTES },
    });
    this.#server.on("session", (session) => this.#onSession(session));
    this.#server.on("stream", (stream, headers) => this.#onStream(stream, headers));
    this.#server.on("sessionError", () => undefined);
  }

  /** Opens the relay on a free port and returns it. */
  async listen(): Promise<number> {
    this.#server.listen(0, LOOPBACK);
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  /** Sets where the store listens. */
  aim(port: number): void {
    this.#targetPort = port;
  }

  /** Takes note of who is behind the connection that comes from `localPort`. */
  announce(localPort: number, source: Party): void {
    this.#sources.set(localPort, source);
  }

  async close(): Promise<void> {
    for (const [session, upstream] of this.#upstreams) {
      upstream.destroy();
      session.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #onSession(session: ServerHttp2Session): void {
    session.setLocalWindowSize(WINDOW_BYTES);
    const port = session.socket.remotePort as number;
    const upstream = connect(`http://${LOOPBACK}:${this.#targetPort}`, {
      maxSessionMemory: SESSION_MEMORY_MB,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    });
    upstream.once("connect", () => upstream.setLocalWindowSize(WINDOW_BYTES));
    this.#upstreams.set(session, upstream);
    upstream.on("error", () => session.destroy());
    upstream.on("close", () => session.destroy());
    upstream.on("goaway", () => {
      if (!session.destroyed) session.goaway();
    });
    session.on("error", () => undefined);
    session.on("close", () => {
      this.#upstreams.delete(session);
      this.#sources.delete(port);
      upstream.destroy();
    });
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const session = stream.session as ServerHttp2Session;
    const upstream = this.#upstreams.get(session);
    stream.on("error", () => undefined);
    if (upstream === undefined || upstream.destroyed || upstream.closed) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    const source = this.#sources.get(session.socket.remotePort as number) ?? "clients";
    const method = headers[":path"]?.split("/").at(-1) ?? "";
    const relay = new StreamRelay(stream, () => upstream.request(headers), this.#options, source);
    void relay.run(method).catch(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  }
}

/** One stream on its way. */
class StreamRelay {
  readonly #stream: ServerHttp2Stream;
  readonly #open: () => ClientHttp2Stream;
  readonly #options: RelayOptions;
  readonly #source: Party;
  #upstream: ClientHttp2Stream | undefined;

  constructor(
    stream: ServerHttp2Stream,
    open: () => ClientHttp2Stream,
    options: RelayOptions,
    source: Party,
  ) {
    this.#stream = stream;
    this.#open = open;
    this.#options = options;
    this.#source = source;
  }

  async run(method: string): Promise<void> {
    const { faults, store } = this.#options;
    if (RAFT_STREAMS.has(method)) return this.#messages((frame) => this.#raft(frame));
    if (this.#source === "clients" && method === BATCH_COMMANDS) {
      return this.#messages((frame) => this.#batch(frame));
    }
    const isPlain = PLAIN_STREAMS.has(method) || this.#source !== "clients";
    const fault = isPlain || !faults.concerns(store) ? undefined : faults.take(store, method);
    if (fault?.kind === "drop") {
      this.#stream.resume();
      return;
    }
    if (fault?.kind === "regionError") return this.#fail(fault.error);
    if (fault?.kind === "delay") await new Promise((resolve) => setTimeout(resolve, fault.ms));
    if (!this.#stream.destroyed) this.#stream.pipe(this.#connect());
  }

  #connect(): ClientHttp2Stream {
    const upstream = this.#open();
    this.#upstream = upstream;
    const stream = this.#stream;
    let trailers: OutgoingHttpHeaders | undefined;
    upstream.on("response", (headers, flags) => {
      const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      this.#respond(headers, endStream);
    });
    upstream.on("trailers", (headers) => {
      trailers = headers;
    });
    stream.on("wantTrailers", () => stream.sendTrailers(plain(trailers ?? {})));
    upstream.on("error", () => undefined);
    upstream.on("close", () => {
      if (!stream.destroyed && upstream.rstCode !== 0) stream.close(upstream.rstCode);
    });
    stream.on("close", () => upstream.close(stream.rstCode));
    this.#copyBack(upstream);
    return upstream;
  }

  /** Copies answers whole, so that others may be put between them. */
  #copyBack(upstream: ClientHttp2Stream): void {
    const splitter = new FrameSplitter();
    upstream.on("data", (chunk: Buffer) => {
      for (const frame of splitter.push(chunk)) {
        if (!this.#stream.write(frame)) upstream.pause();
      }
    });
    this.#stream.on("drain", () => upstream.resume());
    upstream.on("end", () => this.#stream.end());
  }

  #respond(headers: OutgoingHttpHeaders, endStream = false): void {
    if (this.#stream.headersSent || this.#stream.destroyed) return;
    this.#stream.respond(plain(headers), { endStream, waitForTrailers: !endStream });
  }

  async #messages(take: (frame: Buffer) => void): Promise<void> {
    const upstream = this.#connect();
    const splitter = new FrameSplitter();
    for await (const chunk of this.#stream) {
      for (const frame of splitter.push(chunk as Buffer)) take(frame);
      if (upstream.writableNeedDrain) await drained(upstream);
    }
    upstream.end();
  }

  #raft(frame: Buffer): void {
    const { faults, network, store } = this.#options;
    const { drop } = network.link(this.#source, store).faults;
    if (drop > 0 && faults.chance(drop)) return;
    this.#forward(frame);
  }

  #batch(frame: Buffer): void {
    const { faults, store } = this.#options;
    if (!faults.concerns(store)) {
      this.#forward(frame);
      return;
    }
    filterBatch(frame, {
      faultOf: (method) => faults.take(store, method),
      forward: (one) => this.#forward(one),
      answer: (one) => {
        this.#respond(GRPC_HEADERS);
        if (!this.#stream.destroyed) this.#stream.write(one);
      },
    });
  }

  #forward(frame: Buffer): void {
    const upstream = this.#upstream;
    if (upstream !== undefined && !upstream.destroyed) upstream.write(frame);
  }

  async #fail(kind: Parameters<typeof regionError>[0]): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.#stream) chunks.push(chunk as Buffer);
    const request = messageOf(Buffer.concat(chunks)) ?? Buffer.alloc(0);
    this.#stream.on("wantTrailers", () => this.#stream.sendTrailers({ "grpc-status": "0" }));
    this.#respond(GRPC_HEADERS);
    this.#stream.end(frameOf(errorResponse(regionError(kind, contextOf(request)))));
  }
}

const GRPC_HEADERS = { ":status": 200, "content-type": "application/grpc+proto" };

/** Returns headers without the marks that node:http2 adds to received ones. */
function plain(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return { ...headers };
}

/** Resolves when the stream takes more, or is over; leaves no listener behind. */
function drained(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}
