/**
 * Sends one request to one region until a store has answered it: chooses the peer, fills the context,
 * repairs what region errors and broken connections say is wrong. When the region itself turned out to
 * be another one, it says "reload" and the caller locates its keys anew.
 */
import { fromBigInt, type kvrpcpb, type metapb, toBigInt } from "../pb/index.js";
import type { PeerInfo } from "../pd_client/index.js";
import type { Backoffer } from "./backoff.js";
import type { SendFailure } from "./batch_conn.js";
import type { AnyResponse, CommandName, RequestOf, ResponseOf } from "./commands.js";
import { isRepeatable } from "./commands.js";
import { refusal } from "./errors.js";
import type { KeyMode } from "./key_mode.js";
import type { StoreRpc } from "./ports.js";
import type { CachedRegion } from "./region_cache.js";
import { onRegionError, regionErrorText } from "./region_error.js";
import type { RegionLocator } from "./region_locator.js";
import { ReplicaSelector } from "./replica_selector.js";
import type { StoreCache } from "./store_cache.js";

/** The keys of the request must be located again; nothing was done. */
export const RELOAD = Symbol("reload");

export interface SenderDeps {
  readonly locator: RegionLocator;
  readonly stores: StoreCache;
  readonly rpc: StoreRpc;
  readonly mode: KeyMode;
  readonly clusterId: bigint;
  readonly requestTimeoutMs: number;
}

/** What a request tells stores beside its body, and what its caller learns of the attempts. */
export interface Attempts {
  /** Fields of the context that do not say where the request goes. */
  readonly context?: kvrpcpb.IContext;
  /** Requests that left; from the second on the store is told that it is a retry. */
  sent: number;
  /** Whether one of them got no answer: it may have been executed, or will be. */
  isOpen: boolean;
}

type Step = "again" | typeof RELOAD;

export class RegionSender {
  readonly #deps: SenderDeps;
  readonly #contexts = new WeakMap<
    CachedRegion,
    { readonly peer: PeerInfo; readonly context: kvrpcpb.IContext }
  >();

  constructor(deps: SenderDeps) {
    this.#deps = deps;
  }

  /**
   * Returns the store's answer or RELOAD. The answer has no region error and, to a raw command, no
   * refusal; key errors of transactional commands are the caller's. Throws ClientError.
   */
  async send<C extends CommandName>(
    region: CachedRegion,
    command: C,
    body: RequestOf<C>,
    op: Backoffer,
    attempts?: Attempts,
  ): Promise<ResponseOf<C> | typeof RELOAD> {
    const { requestTimeoutMs, rpc, stores } = this.#deps;
    const selector = new ReplicaSelector(region);
    for (;;) {
      op.check();
      const peer = selector.pick();
      if (peer === undefined) return this.#reload(region, op, "no peer of the region serves it");
      const address = await stores.resolve(peer.storeId, op);
      if (address === undefined) {
        op.note(`store ${peer.storeId} is gone`);
        selector.giveUp(peer);
        continue;
      }
      const request = { ...body, context: this.#attempt(region, peer, attempts) };
      const timeoutMs = Math.min(requestTimeoutMs, op.leftMs());
      const reply = await rpc.send(address, command, request, timeoutMs, op.signal);
      if (!reply.ok) {
        if (reply.error.sent && attempts !== undefined) attempts.isOpen = true;
        await this.#onSendFailure(command, reply.error, peer, address, selector, op);
        continue;
      }
      if (reply.value.regionError === null) {
        selector.served(peer);
        const refused = reply.value.error;
        if (typeof refused === "string" && refused !== "") throw refusal(command, refused);
        return reply.value as unknown as ResponseOf<C>;
      }
      if (attempts !== undefined && reply.value.regionError.undeterminedResult !== null) {
        attempts.isOpen = true;
      }
      const step = await this.#onRegionError(reply.value, region, peer, selector, op);
      if (step === RELOAD) return RELOAD;
    }
  }

  /** Sends a request to the region of `key`, wherever that moves, and returns the answer. */
  async sendTo<C extends CommandName>(
    key: Uint8Array,
    command: C,
    body: RequestOf<C>,
    op: Backoffer,
    attempts?: Attempts,
  ): Promise<ResponseOf<C>> {
    for (;;) {
      const region = await this.#deps.locator.locate(key, op);
      const response = await this.send(region, command, body, op, attempts);
      if (response !== RELOAD) return response;
    }
  }

  #attempt(region: CachedRegion, peer: PeerInfo, attempts?: Attempts): kvrpcpb.IContext {
    const routing = this.#context(region, peer);
    if (attempts === undefined) return routing;
    const isRetryRequest = attempts.sent++ > 0;
    if (attempts.context === undefined && !isRetryRequest) return routing;
    return { ...routing, ...attempts.context, isRetryRequest };
  }

  /** Contexts are made once for each region and peer: most requests repeat the one before. */
  #context(region: CachedRegion, peer: PeerInfo): kvrpcpb.IContext {
    const made = this.#contexts.get(region);
    if (made !== undefined && made.peer === peer) return made.context;
    const { clusterId, mode } = this.#deps;
    const context = {
      regionId: fromBigInt(region.id),
      regionEpoch: { confVer: fromBigInt(region.confVer), version: fromBigInt(region.version) },
      peer: { id: fromBigInt(peer.id), storeId: fromBigInt(peer.storeId) },
      clusterId: fromBigInt(clusterId),
      apiVersion: mode.apiVersion,
      keyspaceId: mode.keyspaceId,
      requestSource: "rutile_client",
    };
    this.#contexts.set(region, { peer, context });
    return context;
  }

  async #onSendFailure(
    command: CommandName,
    failure: SendFailure,
    peer: PeerInfo,
    address: string,
    selector: ReplicaSelector,
    op: Backoffer,
  ): Promise<void> {
    // Before the end of the operation is told: its time may have passed with waiting for this peer.
    if (op.signal?.aborted !== true) selector.giveUp(peer);
    op.check();
    const text = `store ${peer.storeId} at ${address}: ${failure.message}`;
    if (failure.kind === "tooMany") throw op.error("RUTILE:Client:TooManyPending", text);
    if (failure.kind === "protocol") throw op.error("RUTILE:Client:Protocol", text);
    if (failure.sent && !isRepeatable(command)) throw op.error("RUTILE:Client:Undetermined", text);
    this.#deps.stores.forget(peer.storeId);
    await op.wait("tikvRpc", text);
  }

  async #onRegionError(
    response: AnyResponse,
    region: CachedRegion,
    peer: PeerInfo,
    selector: ReplicaSelector,
    op: Backoffer,
  ): Promise<Step> {
    const error = response.regionError as NonNullable<AnyResponse["regionError"]>;
    const text = regionErrorText(error);
    const action = onRegionError(error);
    switch (action.do) {
      case "switchLeader":
        return this.#switchLeader(action.leader, region, peer, selector, op);
      case "retry":
        await op.wait(action.backoff, text, action.leastMs);
        return "again";
      case "nextPeer":
        selector.giveUp(peer);
        if (action.backoff !== undefined) await op.wait(action.backoff, text, action.leastMs);
        else op.note(text);
        return "again";
      case "reload":
        if (action.backoff !== undefined) await op.wait(action.backoff, text);
        return this.#reload(region, op, text);
      case "replace":
        this.#deps.locator.replace(region, action.error);
        await op.wait("regionMiss", text);
        return RELOAD;
      case "reloadStore":
        this.#deps.stores.forget(peer.storeId);
        return this.#reload(region, op, text);
      case "fail":
        throw op.error(FAILURES[action.reason], text);
    }
  }

  async #switchLeader(
    leader: metapb.Peer | null,
    region: CachedRegion,
    peer: PeerInfo,
    selector: ReplicaSelector,
    op: Backoffer,
  ): Promise<Step> {
    if (leader !== null) {
      op.note("not leader");
      if (selector.follow(peer, toBigInt(leader.id))) return "again";
      return this.#reload(region, op, "a leader outside of the known region");
    }
    selector.giveUp(peer);
    await op.wait("regionScheduling", `store ${peer.storeId} does not know the leader`);
    return "again";
  }

  async #reload(region: CachedRegion, op: Backoffer, reason: string): Promise<typeof RELOAD> {
    this.#deps.locator.cache.invalidate(region);
    await op.wait("regionMiss", reason);
    return RELOAD;
  }
}

const FAILURES = {
  entryTooLarge: "KV:Raftstore:EntryTooLarge",
  undetermined: "RUTILE:Client:Undetermined",
  refused: "RUTILE:Client:Refused",
} as const;
