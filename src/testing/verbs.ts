/** The verbs of the control server: what each takes, and which method of Cluster it is. */
import { fromHex, toHex, utf8, utf8Decode } from "../base/index.js";
import type { LocatedRegion } from "../pd_client/index.js";
import type { Cluster, LinkFilter, RequestFilter } from "./cluster.js";
import type { Party } from "./network.js";
import { ClusterError } from "./options.js";
import { REGION_ERROR_KINDS, type RegionErrorKind } from "./region_errors.js";

/** The JSON object of a request. */
export type Body = Readonly<Record<string, unknown>>;

export interface Verb {
  /** Names that a body may hold. */
  readonly takes: readonly string[];
  run(cluster: Cluster, body: Body): Promise<unknown> | unknown;
}

const FILTER = ["store", "method", "count"];
const LINK = ["from", "to", "one_way"];

function wrong(name: string, given: unknown, expected: string): never {
  throw new ClusterError(
    `${name}: given ${JSON.stringify(given) ?? "nothing"}, expected ${expected}`,
  );
}

function number(body: Body, name: string, max: number): number {
  const given = body[name];
  if (typeof given === "number" && given >= 0 && given <= max) return given;
  return wrong(name, given, `a number from 0 to ${max}`);
}

function whole(body: Body, name: string): number {
  const given = number(body, name, Number.MAX_SAFE_INTEGER);
  return Number.isInteger(given) ? given : wrong(name, given, "a whole number");
}

function optional<T>(
  body: Body,
  name: string,
  read: (body: Body, name: string) => T,
): T | undefined {
  return body[name] === undefined ? undefined : read(body, name);
}

function text(body: Body, name: string): string {
  const given = body[name];
  return typeof given === "string" ? given : wrong(name, given, "a text");
}

function party(body: Body, name: string): Party {
  const given = body[name];
  if (given === "pd" || given === "clients") return given;
  return typeof given === "number"
    ? whole(body, name)
    : wrong(name, given, 'a store, "pd" or "clients"');
}

function key(body: Body, name: string): Uint8Array {
  const given = text(body, name);
  return given.startsWith("0x") ? fromHex(given.slice(2)) : utf8(given);
}

function filterOf(body: Body): RequestFilter {
  return {
    store: optional(body, "store", whole),
    method: optional(body, "method", text),
    count: optional(body, "count", whole),
  };
}

function linkOf(body: Body): LinkFilter {
  const oneWay = body.one_way;
  if (oneWay !== undefined && typeof oneWay !== "boolean")
    wrong("one_way", oneWay, "true or false");
  return {
    from: optional(body, "from", party),
    to: optional(body, "to", party),
    oneWay: oneWay as boolean | undefined,
  };
}

const HOUR_MS = 3_600_000;
const limitOf = (body: Body): number | undefined => optional(body, "timeout_ms", whole);

function errorKind(body: Body): RegionErrorKind {
  const given = text(body, "error");
  const found = REGION_ERROR_KINDS.find((kind) => kind === given);
  return found ?? wrong("error", given, `one of ${REGION_ERROR_KINDS.join(", ")}`);
}

const UNPRINTABLE = /[\p{Cc}\p{Cn}\uFFFD]/u;

function keyText(bytes: Uint8Array): string {
  const plain = utf8Decode(bytes);
  return UNPRINTABLE.test(plain) || plain.startsWith("0x") ? `0x${toHex(bytes)}` : plain;
}

function regionJson(cluster: Cluster, region: LocatedRegion): object {
  const indexOf = (id: bigint | undefined): number | null =>
    cluster.stores.find((store) => store.id === id)?.index ?? null;
  return {
    id: Number(region.id),
    start_key: keyText(region.startKey),
    end_key: keyText(region.endKey),
    conf_ver: Number(region.confVer),
    version: Number(region.version),
    leader: indexOf(region.leader?.storeId),
    stores: region.peers.map(({ storeId }) => indexOf(storeId)),
  };
}

/** Returns what GET /cluster shows. */
export function clusterJson(cluster: Cluster): object {
  return {
    pd: cluster.pdEndpoints[0],
    stores: cluster.stores.map(({ address, id, index, pid, state, statusAddress }) => ({
      store: index,
      id: Number(id),
      address,
      status: statusAddress,
      pid,
      state,
    })),
    deaths: cluster.deaths,
    faults_hit: cluster.faultsHit,
  };
}

/** Returns what GET /regions shows. */
export async function regionsJson(cluster: Cluster): Promise<object[]> {
  return (await cluster.regions()).map((region) => regionJson(cluster, region));
}

/** A verb about one store. */
function onStore(run: (cluster: Cluster, store: number) => Promise<void> | void): Verb {
  return { takes: ["store"], run: (cluster, body) => run(cluster, whole(body, "store")) };
}

/** By the last part of the path. */
export const VERBS: Readonly<Record<string, Verb>> = {
  ready: { takes: ["timeout_ms"], run: (cluster, body) => cluster.ready(limitOf(body)) },
  split: {
    takes: ["key", "timeout_ms"],
    run: async (cluster, body) =>
      regionJson(cluster, await cluster.splitAt(key(body, "key"), limitOf(body))),
  },
  "transfer-leader": {
    takes: ["region", "store", "timeout_ms"],
    run: (cluster, body) =>
      cluster.transferLeader(BigInt(whole(body, "region")), whole(body, "store"), limitOf(body)),
  },
  "inject-region-error": {
    takes: [...FILTER, "error"],
    run: (cluster, body) =>
      cluster.injectRegionError(whole(body, "store"), errorKind(body), filterOf(body)),
  },
  "delay-requests": {
    takes: [...FILTER, "ms"],
    run: (cluster, body) => cluster.delayRequests(number(body, "ms", HOUR_MS), filterOf(body)),
  },
  "drop-requests": {
    takes: [...FILTER, "fraction"],
    run: (cluster, body) => cluster.dropRequests(number(body, "fraction", 1), filterOf(body)),
  },
  "clear-request-faults": { takes: [], run: (cluster) => cluster.clearRequestFaults() },
  "delay-link": {
    takes: [...LINK, "ms"],
    run: (cluster, body) => cluster.delayLink(number(body, "ms", HOUR_MS), linkOf(body)),
  },
  "drop-raft": {
    takes: [...LINK, "fraction"],
    run: (cluster, body) => cluster.dropRaft(number(body, "fraction", 1), linkOf(body)),
  },
  cut: { takes: LINK, run: (cluster, body) => cluster.cut(linkOf(body)) },
  refuse: { takes: LINK, run: (cluster, body) => cluster.refuse(linkOf(body)) },
  isolate: onStore((cluster, store) => cluster.isolate(store)),
  heal: { takes: [], run: (cluster) => cluster.heal() },
  kill: onStore((cluster, store) => cluster.kill(store)),
  "stop-store": onStore((cluster, store) => cluster.stopStore(store)),
  pause: onStore((cluster, store) => cluster.pause(store)),
  resume: onStore((cluster, store) => cluster.resume(store)),
  restart: onStore((cluster, store) => cluster.restart(store)),
  "add-store": {
    takes: ["labels"],
    run: async (cluster, body) => {
      const { index } = await cluster.addStore(optional(body, "labels", text));
      return { store: index };
    },
  },
  "remove-store": {
    takes: ["store", "timeout_ms"],
    run: (cluster, body) => cluster.removeStore(whole(body, "store"), limitOf(body)),
  },
  "kill-pd": { takes: [], run: (cluster) => cluster.killPd() },
  "start-pd": { takes: [], run: (cluster) => cluster.startPd() },
};
