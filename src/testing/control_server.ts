/**
 * The control server: a Cluster for programs in any language. JSON over HTTP/1.1, on loopback only;
 * what a browser sends is refused, so that no web page can reach it.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { errorMessage, nearestName } from "../base/index.js";
import type { Cluster } from "./cluster.js";
import { ClusterError } from "./options.js";
import { type Body, clusterJson, regionsJson, VERBS } from "./verbs.js";

const LOOPBACK = "127.0.0.1";
const BODY_MAX_BYTES = 64 * 1024;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const failure = (status: number, error: string): Answer => ({ status, body: { error } });

export class ControlServer {
  readonly #cluster: Cluster;
  readonly #server: Server;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** Listens; port 0 takes a free one. Returns host:port. */
  async listen(port: number): Promise<string> {
    this.#server.listen(port, LOOPBACK);
    await once(this.#server, "listening");
    return `${LOOPBACK}:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer;
    try {
      answer = await this.#answer(request);
    } catch (error) {
      answer = failure(error instanceof ClusterError ? 400 : 500, errorMessage(error));
    }
    response.writeHead(answer.status, { "content-type": "application/json" });
    response.end(`${JSON.stringify(answer.body)}\n`);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    if (request.headers.origin !== undefined) return failure(403, "browsers are not served");
    const path = (request.url ?? "/").replace(/^\//, "").replace(/\?.*$/, "");
    if (path === "cluster" || path === "regions") {
      if (request.method !== "GET") return failure(405, `${path} takes GET`);
      const body =
        path === "cluster" ? clusterJson(this.#cluster) : await regionsJson(this.#cluster);
      return { status: 200, body };
    }
    const verb = Object.hasOwn(VERBS, path) ? VERBS[path] : undefined;
    if (verb === undefined) {
      const near = nearestName(path, ["cluster", "regions", ...Object.keys(VERBS)]);
      const hint = near === undefined ? "" : `; did you mean ${near}?`;
      return failure(404, `no verb ${JSON.stringify(path)}${hint}`);
    }
    if (request.method !== "POST") return failure(405, `${path} takes POST`);
    const body = await readBody(request);
    const unknown = Object.keys(body).filter((name) => !verb.takes.includes(name));
    if (unknown.length > 0) {
      const takes = verb.takes.join(", ") || "nothing";
      return failure(400, `${path}: unknown ${unknown.join(", ")}; it takes ${takes}`);
    }
    return { status: 200, body: (await verb.run(this.#cluster, body)) ?? {} };
  }
}

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > BODY_MAX_BYTES) throw new ClusterError(`a body has at most ${BODY_MAX_BYTES} bytes`);
    chunks.push(chunk as Buffer);
  }
  const text = Buffer.concat(chunks).toString();
  if (text.trim() === "") return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new ClusterError("the body is not JSON");
  }
  if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed))
    return parsed as Body;
  throw new ClusterError("the body is not a JSON object");
}
