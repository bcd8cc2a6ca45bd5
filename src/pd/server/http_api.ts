/**
 * PD's HTTP API on the client port: what pd-ctl, dashboards and people ask. Read-only so far.
 * Errors are a JSON string, as PD's. Source: pd server/api/router.go.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import {
  EMPTY_BYTES,
  errorMessage,
  fromHex,
  type Logger,
  U64_MAX,
  utf8,
} from "../../base/index.js";
import { isRemoved, type RegionInfo, STORE_STATE, type StoreInfo } from "../core/index.js";
import type { RaftCluster } from "./cluster.js";
import { memberJson, regionJson, storeJson } from "./http_json.js";
import { type Json, jsonText } from "./json.js";
import type { Member } from "./member.js";
import { PD_VERSION } from "./options.js";

export interface HttpDeps {
  readonly cluster: RaftCluster;
  readonly member: () => Member;
  readonly nowMs: () => number;
  readonly startedSeconds: number;
  /** The clock that ages of operators are counted on. */
  readonly monotonicMs: () => number;
  /** What /config shows. */
  readonly config: () => Json;
  /** The text of /metrics; without it that path is 404. */
  readonly metricsText: (() => Promise<string>) | undefined;
  readonly logger: Logger;
}

interface Answer {
  readonly status: number;
  readonly body: Json;
}

type Route = (deps: HttpDeps, argument: string, query: URLSearchParams) => Answer;

const API = "/pd/api/v1/";
const NOT_BOOTSTRAPPED =
  "[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first";

function ok(body: Json): Answer {
  return { status: 200, body };
}

function fail(status: number, body: string): Answer {
  return { status, body };
}

/** Returns `route` behind the check that the cluster is bootstrapped. */
function bootstrapped(route: Route): Route {
  return (deps, argument, query) =>
    deps.cluster.bootstrapped ? route(deps, argument, query) : fail(500, NOT_BOOTSTRAPPED);
}

/** Returns the id in a path, or undefined for what is no u64. */
function parseId(text: string): bigint | undefined {
  if (!/^[0-9]{1,20}$/.test(text)) return undefined;
  const id = BigInt(text);
  return id <= U64_MAX ? id : undefined;
}

function badId(text: string): Answer {
  return fail(400, `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function showStore(deps: HttpDeps, store: StoreInfo): Json {
  const load = deps.cluster.basic.storeLoad(store.meta.id);
  return storeJson(store, load, deps.nowMs(), deps.cluster.config.maxStoreDownTimeMs);
}

/** Paths without an argument. */
const ROUTES: Readonly<Record<string, Route>> = {
  members: ({ cluster, member }) => {
    const self = memberJson(member());
    const header = { cluster_id: cluster.id };
    return ok({ header, members: [self], leader: self, etcd_leader: self });
  },
  leader: ({ member }) => ok(memberJson(member())),
  health: ({ member }) => {
    const { name, id, clientUrls } = member();
    return ok([{ name, member_id: id, client_urls: [...clientUrls], health: true }]);
  },
  ping: () => ok(""),
  version: () => ok({ version: PD_VERSION }),
  status: ({ startedSeconds }) =>
    ok({
      build_ts: "",
      version: PD_VERSION,
      git_hash: "",
      start_timestamp: startedSeconds,
      kernel_type: "Classic",
    }),
  cluster: ({ cluster }) =>
    ok({ id: cluster.id, max_peer_count: cluster.clusterMeta.maxPeerCount }),
  "cluster/status": ({ cluster }) => {
    const bootstrapMs = cluster.raftBootstrapTimeMs;
    return ok({
      raft_bootstrap_time: new Date(bootstrapMs).toISOString(),
      is_initialized: cluster.bootstrapped,
      replication_status: "",
    });
  },
  config: ({ config }) => ok(config()),
  stores: bootstrapped((deps, _argument, query) => {
    const states = query.getAll("state");
    if (states.some((state) => !/^[012]$/.test(state))) {
      return fail(400, `unknown StoreState: ${states.join(",")}`);
    }
    const shown = deps.cluster.basic.getStores().filter(({ meta }) => {
      if (states.length > 0) return states.includes(String(meta.state));
      return meta.state !== STORE_STATE.tombstone && !isRemoved(meta);
    });
    return ok({ count: shown.length, stores: shown.map((store) => showStore(deps, store)) });
  }),
  regions: bootstrapped(({ cluster }) => {
    const all = cluster.basic.scanRegions(EMPTY_BYTES, EMPTY_BYTES, 0) as RegionInfo[];
    return ok({ count: all.length, regions: all.map(regionJson) });
  }),
};

/** Paths that end in an argument. */
const PREFIX_ROUTES: readonly (readonly [string, Route])[] = [
  [
    "store/",
    bootstrapped((deps, argument) => {
      const id = parseId(argument);
      if (id === undefined) return badId(argument);
      const store = deps.cluster.basic.getStore(id);
      return store === undefined
        ? fail(404, `[PD:core:ErrStoreNotFound]store ${id} not found`)
        : ok(showStore(deps, store));
    }),
  ],
  [
    "region/id/",
    bootstrapped(({ cluster }, argument) => {
      const id = parseId(argument);
      if (id === undefined) return badId(argument);
      const region = cluster.basic.getRegion(id);
      return region === undefined ? fail(404, `region ${id} not found`) : ok(regionJson(region));
    }),
  ],
  [
    "region/key/",
    bootstrapped(({ cluster }, argument, query) => {
      const key = parseKey(argument, query.get("format"));
      if (key === undefined) return fail(400, `invalid key ${JSON.stringify(argument)}`);
      const region = cluster.basic.tree.search(key);
      return region === undefined ? fail(404, "region not found") : ok(regionJson(region));
    }),
  ],
];

/** Returns the bytes of a key in a path: percent-encoded bytes, or hex with ?format=hex. */
function parseKey(text: string, format: string | null): Uint8Array | undefined {
  try {
    if (format === "hex") return fromHex(decodeURIComponent(text));
    return percentDecoded(text);
  } catch {
    return undefined;
  }
}

/** Decodes %XX to bytes, not to text: keys are any bytes. Throws for a bad escape. */
function percentDecoded(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const part of text.match(/%[0-9a-fA-F]{2}|[^%]+|%/g) ?? []) {
    if (part === "%") throw new RangeError("bad escape");
    if (part.startsWith("%")) bytes.push(Number.parseInt(part.slice(1), 16));
    else bytes.push(...utf8(part.replaceAll("+", " ")));
  }
  return Uint8Array.from(bytes);
}

function answerOf(deps: HttpDeps, path: string, query: URLSearchParams): Answer | undefined {
  if (!path.startsWith(API)) return undefined;
  const rest = path.slice(API.length);
  const route = Object.hasOwn(ROUTES, rest) ? ROUTES[rest] : undefined;
  if (route !== undefined) return route(deps, "", query);
  for (const [prefix, prefixRoute] of PREFIX_ROUTES) {
    if (rest.startsWith(prefix)) return prefixRoute(deps, rest.slice(prefix.length), query);
  }
  return undefined;
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
  if (path === "/metrics" && deps.metricsText !== undefined) {
    send(response, 200, "text/plain; version=0.0.4; charset=utf-8", await deps.metricsText());
    return;
  }
  const answer = answerOf(deps, path, new URLSearchParams(queryText));
  if (answer === undefined) json(404, `404 page not found: ${path}`);
  else if (request.method === "GET" || request.method === "HEAD") json(answer.status, answer.body);
  else json(405, `method ${request.method} is not allowed for ${path}`);
}

/** Returns the listener of PD's HTTP server. Request bodies are not read. */
export function httpApi(deps: HttpDeps): RequestListener {
  return (request, response) => {
    request.resume();
    handle(deps, request, response).catch((error: unknown) => {
      deps.logger.error("http handler failed", { url: request.url }, error);
      if (!response.headersSent) {
        send(response, 500, "application/json", jsonText(errorMessage(error)));
      } else response.destroy();
    });
  };
}
