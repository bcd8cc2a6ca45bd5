/**
 * PD's HTTP API on the client port: what pd-ctl, dashboards and people ask and order. Errors are a
 * JSON string, as PD's. Routes are in the http_*.ts files. Source: pd server/api/router.go.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { errorMessage } from "../../base/index.js";
import { CONFIG_ROUTES } from "./http_config.js";
import { GC_ROUTES } from "./http_gc.js";
import { OPERATOR_ROUTES } from "./http_operators.js";
import { READ_ROUTES } from "./http_read.js";
import { REGION_ROUTES } from "./http_regions.js";
import type { Asked, Handle, HttpDeps, Routes } from "./http_route.js";
import { STORE_ROUTES } from "./http_stores.js";
import { type Json, jsonText } from "./json.js";

const API = "/pd/api/v1/";
/** Longest body that is read. */
const BODY_MAX_BYTES = 256 * 1024;

const ROUTES: Routes = {
  ...READ_ROUTES,
  ...REGION_ROUTES,
  ...STORE_ROUTES,
  ...OPERATOR_ROUTES,
  ...CONFIG_ROUTES,
  ...GC_ROUTES,
};

interface Found {
  readonly methods: ReadonlyMap<string, Handle>;
  readonly args: readonly string[];
}

/** Route patterns as lists of parts: those without arguments first, then the longest. */
const PATTERNS = [...new Set(Object.keys(ROUTES).map((key) => key.split(" ")[1] as string))]
  .map((pattern) => ({ pattern, parts: pattern.split("/") }))
  .sort((a, b) => argsOf(a.parts) - argsOf(b.parts) || b.parts.length - a.parts.length);

function argsOf(parts: readonly string[]): number {
  return parts.filter((part) => part === "{}").length;
}

/** Returns the routes of a path by method, with what stands for "{}"; a key may have slashes. */
function find(path: string): Found | undefined {
  for (const { pattern, parts } of PATTERNS) {
    const given = path.split("/");
    const isOpen = parts.at(-1) === "{}";
    if (given.length < parts.length || (!isOpen && given.length > parts.length)) continue;
    const rest = given.slice(parts.length - 1).join("/");
    const values = [...given.slice(0, parts.length - 1), rest];
    if (!parts.every((part, at) => part === "{}" || part === values[at])) continue;
    const methods = new Map<string, Handle>();
    for (const method of ["GET", "POST", "DELETE"]) {
      const handle = ROUTES[`${method} ${pattern}`];
      if (handle !== undefined) methods.set(method, handle);
    }
    return { methods, args: values.filter((_, at) => parts[at] === "{}") };
  }
  return undefined;
}

/** Returns the body as a JSON object; undefined for what is none, or too long. */
async function readBody(request: IncomingMessage): Promise<Asked["body"] | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= BODY_MAX_BYTES) chunks.push(chunk);
  }
  if (size === 0) return {};
  if (size > BODY_MAX_BYTES) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Asked["body"]) : undefined;
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

async function handle(deps: HttpDeps, request: IncomingMessage, response: ServerResponse) {
  const json = (status: number, body: Json): void =>
    send(response, status, "application/json; charset=UTF-8", `${jsonText(body)}\n`);
  const [path = "/", queryText = ""] = (request.url ?? "/").split("?", 2);
  const body = await readBody(request);
  if (path === "/metrics" && deps.metricsText !== undefined) {
    send(response, 200, "text/plain; version=0.0.4; charset=utf-8", await deps.metricsText());
    return;
  }
  const found = path.startsWith(API) ? find(path.slice(API.length)) : undefined;
  const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
  const run = found?.methods.get(method);
  if (found === undefined) json(404, `404 page not found: ${path}`);
  else if (run === undefined) json(405, `method ${request.method} is not allowed for ${path}`);
  else if (body === undefined) json(400, "the body is no JSON object, or too long");
  else {
    const asked = { args: found.args, query: new URLSearchParams(queryText), body };
    const answer = await run(deps, asked);
    json(answer.status, answer.body);
  }
}

/** Returns the listener of PD's HTTP server. */
export function httpApi(deps: HttpDeps): RequestListener {
  return (request, response) => {
    handle(deps, request, response).catch((error: unknown) => {
      deps.logger.error("http handler failed", { url: request.url }, error);
      if (!response.headersSent) {
        send(response, 500, "application/json", jsonText(errorMessage(error)));
      } else response.destroy();
    });
  };
}
