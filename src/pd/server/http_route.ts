/** What routes of PD's HTTP API share: what they get, what they answer, how ids and keys are read. */
import type { Logger } from "../../base/index.js";
import { fromHex, U64_MAX, utf8 } from "../../base/index.js";
import type { Refusal } from "../core/index.js";
import type { RaftCluster } from "./cluster.js";
import type { GcManager } from "./gc_manager.js";
import type { Json } from "./json.js";
import type { Member } from "./member.js";

export interface HttpDeps {
  readonly cluster: RaftCluster;
  readonly gc: GcManager;
  readonly member: () => Member;
  readonly nowMs: () => number;
  /** The clock that ages of operators are counted on. */
  readonly monotonicMs: () => number;
  readonly startedSeconds: number;
  /** What /config shows. */
  readonly config: () => Json;
  /** The text of /metrics; without it that path is 404. */
  readonly metricsText: (() => Promise<string>) | undefined;
  readonly logger: Logger;
}

export interface Answer {
  readonly status: number;
  readonly body: Json;
}

/** A request: what its path names, and what its body holds. */
export interface Asked {
  /** Parts of the path where the route has "{}". */
  readonly args: readonly string[];
  readonly query: URLSearchParams;
  /** The body as JSON; an empty object without one. */
  readonly body: Readonly<Record<string, unknown>>;
}

export type Handle = (deps: HttpDeps, asked: Asked) => Answer | Promise<Answer>;
/** "GET store/{}" → what answers. */
export type Routes = Readonly<Record<string, Handle>>;

const NOT_BOOTSTRAPPED =
  "[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first";

export function ok(body: Json): Answer {
  return { status: 200, body };
}

export function fail(status: number, body: string): Answer {
  return { status, body };
}

/** Returns the answer to a refused change of a store. */
export function refused({ kind, message }: Refusal): Answer {
  if (kind === "unknown") return fail(404, `[PD:core:ErrStoreNotFound]${message}`);
  return fail(kind === "tombstone" ? 410 : 400, message);
}

/** Returns `routes` behind the check that the cluster is bootstrapped. */
export function bootstrapped(routes: Routes): Routes {
  const guarded: Record<string, Handle> = {};
  for (const [path, handle] of Object.entries(routes)) {
    guarded[path] = (deps, asked) =>
      deps.cluster.bootstrapped ? handle(deps, asked) : fail(500, NOT_BOOTSTRAPPED);
  }
  return guarded;
}

/** Returns the id in a path or body, or undefined for what is no u64. */
export function parseId(given: unknown): bigint | undefined {
  if (typeof given === "number")
    return Number.isSafeInteger(given) && given >= 0 ? BigInt(given) : undefined;
  if (typeof given !== "string" || !/^[0-9]{1,20}$/.test(given)) return undefined;
  const id = BigInt(given);
  return id <= U64_MAX ? id : undefined;
}

export function badId(text: string): Answer {
  return fail(400, `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** Returns the bytes of a key in a path: percent-encoded bytes, or hex with ?format=hex. */
export function parseKey(text: string, format: string | null): Uint8Array | undefined {
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
