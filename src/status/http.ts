/**
 * The status server of a store: GET /status, /metrics, /config, /region, /region/{id} and /txn,
 * with TiKV's content types and error texts. Read-only: what changes a store goes through gRPC.
 * It answers from functions, so it can listen before the store exists: PD is told its port.
 * Source: tikv src/server/status_server/mod.rs.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { errorMessage, type Logger, TikvError } from "../base/index.js";

export interface StatusOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/** Where the answers come from. A function may throw: the client gets 500 with the message. */
export interface StatusSources {
  /** Prometheus text format. */
  metrics(): string | Promise<string>;
  /** The configuration in TiKV's shape: {"storage": {"api-version": 1, ...}, ...}. */
  config(): unknown;
  /** Ids of the regions on this store, ascending; empty until it has started. */
  regionIds(): readonly bigint[];
  /** The JSON of one region, or undefined for a region that is not here. */
  regionMeta(id: bigint): unknown;
  /** The JSON of what transactions do; undefined until the store has started. */
  txn(): unknown;
}

export interface StatusServer {
  /** The port really bound. */
  readonly port: number;
  /** Stops listening and ends open connections. Idempotent. */
  close(): Promise<void>;
}

const LIMITS = {
  headerSizeMaxBytes: 16 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 30_000,
  connectionsMax: 256,
} as const;

const TEXT = "text/plain; charset=utf-8";
const JSON_TYPE = "application/json";
/** Of the Prometheus text format; scrapers look at the version. */
const METRICS_TYPE = "text/plain; version=0.0.4";

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const text = (status: number, body: string): Answer => ({ status, type: TEXT, body });
const json = (value: unknown): Answer => ({
  status: 200,
  type: JSON_TYPE,
  body: JSON.stringify(value),
});

const U64_MAX_DIGITS = 20;

function regionAnswer(path: string, sources: StatusSources): Answer {
  if (path === "/region" || path === "/region/") return json(sources.regionIds().map(Number));
  const digits = /^\/region\/(\d+)$/.exec(path)?.[1];
  if (digits === undefined) return text(404, `path ${path} not found`);
  if (digits.length > U64_MAX_DIGITS || BigInt(digits) >= 1n << 64n) {
    return text(400, "invalid region id: number too large to fit in target type");
  }
  const meta = sources.regionMeta(BigInt(digits));
  return meta === undefined ? text(404, `region(${BigInt(digits)}) not found`) : json(meta);
}

async function answerOf(
  method: string | undefined,
  path: string,
  sources: StatusSources,
): Promise<Answer> {
  if (method !== "GET") return text(404, "path not found");
  if (path === "/status") return text(200, "");
  if (path === "/metrics") {
    return { status: 200, type: METRICS_TYPE, body: await sources.metrics() };
  }
  if (path === "/config") return json(sources.config());
  if (path === "/txn") {
    const page = sources.txn();
    return page === undefined ? text(503, "the store has not started yet") : json(page);
  }
  if (path.startsWith("/region")) return regionAnswer(path, sources);
  return text(404, "path not found");
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  sources: StatusSources,
  logger: Logger,
): Promise<void> {
  const path = (request.url ?? "/").split("?", 1)[0] as string;
  let answer: Answer;
  try {
    answer = await answerOf(request.method, path, sources);
  } catch (error) {
    logger.error("status request failed", { path }, error);
    answer = text(500, errorMessage(error));
  }
  const headers: Record<string, string | number> = {
    "content-type": answer.type,
    "content-length": Buffer.byteLength(answer.body),
  };
  // A body would have to be read to reuse the connection; nothing here takes one.
  if (request.method !== "GET") headers.connection = "close";
  response.writeHead(answer.status, headers).end(answer.body);
}

/** Listens. Throws RUTILE:Net:AddressInUse or RUTILE:Net:Listen. */
export async function listenStatus(
  options: StatusOptions,
  deps: { readonly sources: StatusSources; readonly logger: Logger },
): Promise<StatusServer> {
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerSizeMaxBytes,
      headersTimeout: LIMITS.headersTimeoutMs,
      requestTimeout: LIMITS.requestTimeoutMs,
      keepAliveTimeout: LIMITS.keepAliveTimeoutMs,
    },
    (request, response) => void handle(request, response, deps.sources, deps.logger),
  );
  server.maxConnections = LIMITS.connectionsMax;
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, { host, port }: StatusOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === "EADDRINUSE";
      const code = taken ? "RUTILE:Net:AddressInUse" : "RUTILE:Net:Listen";
      const why = taken ? "in use" : errorMessage(cause);
      reject(new TikvError(code, `cannot listen on ${host}:${port}: ${why}`, { cause }));
    });
    server.listen(port, host, () => resolve());
  });
}
