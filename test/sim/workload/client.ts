/**
 * A client: one operation at a time, on a few keys of which one is hottest. It keeps routes, follows
 * region errors as real clients do, and asks again after those only. What gets no answer stays open
 * in the history.
 */
import { compareBytes, type Prng } from "../../../src/base/index.js";
import { PEER_ROLE, type RegionError, type RegionInfo } from "../../../src/raftstore/index.js";
import { DONE, type History, type Operation, type Record, type Value } from "../history.js";
import type { SimHost } from "../host.js";
import { exponential, type SimOptions } from "../options.js";
import { type KvAccess, type KvReply, keyAt, type Route } from "./kv.js";

const ATTEMPTS_MAX = 30;
const LOCATE_EVERY = 5;
const BACKOFF_MEAN_US = 30_000;
/** Values that a client remembers as expectations of its swaps. */
const REMEMBERED_MAX = 8;

export interface ClientDeps {
  readonly number: number;
  readonly host: SimHost;
  readonly access: KvAccess;
  readonly history: History;
  readonly prng: Prng;
  readonly options: SimOptions;
}

const encoder = new TextEncoder();

function holds(region: RegionInfo, key: Uint8Array): boolean {
  return (
    compareBytes(region.startKey, key) <= 0 &&
    (region.endKey.length === 0 || compareBytes(key, region.endKey) < 0)
  );
}

export class Client {
  /** Whether it begins no new operations. */
  private isStopping = false;
  private running: Record | undefined;
  private readonly routes = new Map<bigint, Route>();
  private readonly remembered = new Map<string, Value[]>();
  private readonly deps: ClientDeps;

  constructor(deps: ClientDeps) {
    this.deps = deps;
  }

  start(): void {
    this.think();
  }

  /** Finishes the operation under way and begins no other. */
  stop(): void {
    this.isStopping = true;
  }

  get isIdle(): boolean {
    return this.running === undefined;
  }

  /** Does one operation, when idle. */
  once(key: string, operation: Operation): void {
    const { history, number, host } = this.deps;
    this.running = history.call(number, key, operation, host.localUs);
    this.attempt(this.running, 1);
  }

  private think(): void {
    const { host, prng, options } = this.deps;
    if (this.isStopping) return;
    host.afterUs(exponential(prng, options.thinkMeanUs), () => {
      if (!this.isStopping) this.begin();
    });
  }

  private begin(): void {
    const { history, prng, options } = this.deps;
    const isHot = prng.below(100) < options.hotPercent;
    const key = keyAt(isHot ? options.keys >>> 1 : prng.below(options.keys));
    const operation = this.choose(key, history.records.length);
    this.once(key, operation);
  }

  private choose(key: string, id: number): Operation {
    const { prng } = this.deps;
    const dice = prng.below(20);
    if (dice < 8) return { kind: "get" };
    if (dice < 14) return { kind: "put", value: `v${id}` };
    if (dice < 15) return { kind: "delete" };
    const values = this.remembered.get(key) ?? [null];
    return { kind: "cas", expect: prng.pick(values), value: `v${id}` };
  }

  private attempt(record: Record, count: number): void {
    if (count > ATTEMPTS_MAX) {
      this.end(record);
      return;
    }
    const route = this.routeOf(record.key);
    if (route === undefined) this.locate(record, count);
    else this.send(record, route, count);
  }

  private locate(record: Record, count: number): void {
    const { access, number } = this.deps;
    access.locate(number, record.key, (route) => {
      if (route !== undefined) this.learn(route);
      if (route === undefined) this.retry(record, count);
      else this.attempt(record, count + 1);
    });
  }

  private send(record: Record, route: Route, count: number): void {
    const { access, number } = this.deps;
    const chosen = this.replicaOf(record, route);
    const request = { route: chosen, key: record.key, operation: record.operation };
    access.request(number, request, (reply) => {
      if (reply?.kind === "done") this.complete(record, reply);
      else if (reply?.kind === "refused") {
        this.follow(chosen, reply.error);
        this.retry(record, count);
      } else {
        // It may have happened, or may happen yet.
        this.routes.delete(route.region.id);
        this.end(record);
      }
    });
  }

  /** A tenth of the gets goes to a follower. */
  private replicaOf(record: Record, route: Route): Route {
    const { prng } = this.deps;
    if (record.operation.kind !== "get" || !prng.ratio(1, 10)) return route;
    const { id, storeId } = prng.pick(route.region.peers);
    return { ...route, peerId: id, storeId, isReplicaRead: true };
  }

  private retry(record: Record, count: number): void {
    const { host, prng } = this.deps;
    // Hints may lead in circles; PD knows better after a while.
    if (count % LOCATE_EVERY === 0) this.routes.clear();
    host.afterUs(1_000 + exponential(prng, BACKOFF_MEAN_US), () => this.attempt(record, count + 1));
  }

  private complete(record: Record, reply: KvReply & { readonly kind: "done" }): void {
    const { history, host } = this.deps;
    const { operation } = record;
    const sees = operation.kind === "get" || operation.kind === "cas";
    history.complete(record, sees ? reply.outcome : DONE, host.localUs);
    if (sees) this.remember(record.key, reply.outcome.seen);
    if (operation.kind === "put") this.remember(record.key, operation.value);
    if (reply.outcome.swapped && operation.kind === "cas") {
      this.remember(record.key, operation.value);
    }
    this.end(record);
  }

  private end(record: Record): void {
    if (this.running !== record) return;
    this.running = undefined;
    this.think();
  }

  private remember(key: string, value: Value): void {
    const values = this.remembered.get(key) ?? [];
    this.remembered.set(key, [...values, value].slice(-REMEMBERED_MAX));
  }

  private routeOf(key: string): Route | undefined {
    const bytes = encoder.encode(key);
    let newest: Route | undefined;
    for (const route of this.routes.values()) {
      if (!holds(route.region, bytes)) continue;
      if (newest === undefined || newest.region.version < route.region.version) newest = route;
    }
    return newest;
  }

  private learn(route: Route): void {
    this.routes.set(route.region.id, route);
  }

  private follow(route: Route, error: RegionError): void {
    const { region } = route;
    if (route.isReplicaRead) return;
    if (error.kind === "notLeader" && error.leader !== undefined) {
      const { id, storeId } = error.leader;
      this.learn({ region, peerId: id, storeId, isReplicaRead: false });
      return;
    }
    if (error.kind === "serverIsBusy" || error.kind === "readIndexNotReady") return;
    this.routes.delete(region.id);
    if (error.kind !== "epochNotMatch") return;
    for (const current of error.currentRegions) {
      const peer = current.peers.find(
        ({ storeId, role }) => storeId === route.storeId && role === PEER_ROLE.Voter,
      );
      if (peer === undefined) continue;
      const { id, storeId } = peer;
      this.learn({ region: current, peerId: id, storeId, isReplicaRead: false });
    }
  }
}
