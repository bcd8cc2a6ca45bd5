/**
 * What a store asks of PD for its regions: ids for a split, whether a peer is still a member; and
 * PD's orders on their way in. Answers re-enter as messages to peers.
 * Not here: heartbeats (heartbeats.ts), addresses of stores (the transport's).
 * Source: tikv raftstore/store/worker/pd.rs.
 */
import { idToNumber, type Logger, type MetricsRegistry, totalOf } from "../../base/index.js";
import type { SplitPart, SplitWish } from "../commands.js";
import { isEpochStale } from "../epoch.js";
import type { PeerMsg } from "../messages.js";
import type { PdFailure, SchedulePort, SplitIds } from "../pd_port.js";
import type { RaftPeer } from "../raft_message.js";
import type { PeerInfo, RegionError, RegionInfo } from "../region.js";

export interface PdTaskDeps {
  readonly pd: Pick<
    SchedulePort,
    "askBatchSplit" | "reportBatchSplit" | "getRegionById" | "onOrder"
  >;
  readonly logger: Logger;
  /** Sends to a peer beyond its mailbox's bound; lost if the peer is gone. */
  readonly notify: (regionId: number, message: PeerMsg) => void;
}

/** Questions that may wait for PD at a time; beyond them the answer is ServerIsBusy. */
const ASKING_MAX = 1024;

export class PdTasks {
  /** Outcomes, for metrics. */
  readonly counts = {
    asked: 0,
    askFailed: 0,
    stalePeer: 0,
    validPeer: 0,
    epochUnknown: 0,
    orders: 0,
  };
  readonly #options: { readonly rightDerive: boolean };
  readonly #deps: PdTaskDeps;
  #asking = 0;
  #stopped = false;

  constructor(options: { readonly rightDerive: boolean }, deps: PdTaskDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Takes PD's orders from here on. */
  start(): void {
    this.#deps.pd.onOrder((order) => {
      if (this.#stopped) return;
      this.counts.orders++;
      this.#deps.notify(idToNumber(order.regionId), { kind: "order", order });
    });
  }

  /** Nothing re-enters any more. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Asks PD for ids and sends the split to the leader `self` of `region`, whose wish it is. The
   * wish is answered here if PD gives none, else by the split.
   */
  askSplit(region: RegionInfo, self: PeerInfo, wish: SplitWish): void {
    if (this.#asking >= ASKING_MAX) {
      const reason = "too many regions wait for the ids of a split";
      wish.done(failed({ kind: "serverIsBusy", message: reason, reason, backoffMs: 0 }));
      return;
    }
    this.#asking++;
    this.counts.asked++;
    this.#deps.pd.askBatchSplit(region, wish.splitKeys.length).then((reply) => {
      this.#asking--;
      if (this.#stopped) {
        wish.done(failed({ kind: "other", message: "TiKV is Closing" }));
      } else if (!reply.ok) {
        this.counts.askFailed++;
        this.#log("pd gave no ids for a split", region.id, reply.error);
        const message = `failed to ask pd to split region ${region.id}: ${reply.error.message}`;
        wish.done(failed({ kind: "other", message }));
      } else {
        this.#propose(region, self, wish, reply.value);
      }
    });
  }

  #propose(region: RegionInfo, self: PeerInfo, wish: SplitWish, ids: readonly SplitIds[]): void {
    const parts: SplitPart[] = [];
    for (let i = 0; i < wish.splitKeys.length; i++) {
      const id = ids[i];
      if (id === undefined) break;
      parts.push({ splitKey: wish.splitKeys[i] as Uint8Array, ...id });
    }
    const { id: regionId, confVer, version } = region;
    const header = { regionId, confVer, version, peerId: self.id, storeId: self.storeId, term: 0n };
    const command = { kind: "split", parts, rightDerive: this.#options.rightDerive } as const;
    const request = { header, command, done: wish.done };
    this.#deps.notify(idToNumber(regionId), { kind: "admin", request });
  }

  /** Tells PD of the regions of a split, in key order. A report that is lost is not repeated. */
  reportSplit(regions: readonly RegionInfo[]): void {
    this.#deps.pd.reportBatchSplit(regions).then((reply) => {
      if (!reply.ok)
        this.#log("pd did not take the report of a split", regions[0]?.id, reply.error);
    });
  }

  /**
   * Asks PD whether `self`, which has heard no leader for long, is still a member of `region`, as
   * it knows it. If PD knows a newer region without it, the peer gets the message that removes it.
   */
  validatePeer(region: RegionInfo, self: PeerInfo): void {
    this.#deps.pd.getRegionById(region.id).then((reply) => {
      if (this.#stopped) return;
      if (!reply.ok) {
        this.#log("pd did not say whether a peer is valid", region.id, reply.error);
        return;
      }
      const known = reply.value?.region;
      // PD knows less than the peer, or nothing: it says nothing about the peer.
      if (known === undefined || isEpochStale(known, region)) this.counts.epochUnknown++;
      else if (known.peers.some((peer) => peer.id === self.id)) this.counts.validPeer++;
      else this.#remove(known, self);
    });
  }

  #remove(known: RegionInfo, self: PeerInfo): void {
    this.counts.stalePeer++;
    const regionId = idToNumber(known.id);
    const peer: RaftPeer = {
      id: idToNumber(self.id),
      storeId: idToNumber(self.storeId),
      role: self.role,
    };
    const empty = new Uint8Array(0);
    this.#deps.notify(regionId, {
      kind: "raftMessage",
      message: {
        regionId,
        fromPeer: peer,
        toPeer: peer,
        epoch: { confVer: idToNumber(known.confVer), version: idToNumber(known.version) },
        message: undefined,
        isTombstone: true,
        startKey: empty,
        endKey: empty,
        extra: "none",
        checkRegion: undefined,
      },
    });
  }

  #log(message: string, regionId: bigint | undefined, failure: PdFailure): void {
    this.#deps.logger.warn(message, {
      region_id: String(regionId),
      err: failure.message,
    });
  }
}

function failed(error: RegionError): { readonly ok: false; readonly error: RegionError } {
  return { ok: false, error };
}

/** Registers the metrics. */
export function bindPdTaskMetrics(registry: MetricsRegistry, tasks: PdTasks): void {
  const validated = totalOf(
    registry.counter({
      name: "tikv_pd_validate_peer_total",
      help: "Peers that PD was asked about, by its answer.",
      labelNames: ["type"],
    }),
  );
  const requests = totalOf(
    registry.counter({
      name: "tikv_pd_ask_batch_split_total",
      help: "Splits for which PD was asked for ids, by outcome.",
      labelNames: ["type"],
    }),
  );
  const orders = totalOf(
    registry.counter({ name: "tikv_pd_region_order_total", help: "Orders of PD's to regions." }),
  );
  registry.onCollect(() => {
    const { counts } = tasks;
    validated(counts.stalePeer, { type: "peer_stale" });
    validated(counts.validPeer, { type: "peer_valid" });
    validated(counts.epochUnknown, { type: "region_epoch_error" });
    requests(counts.asked, { type: "all" });
    requests(counts.askFailed, { type: "error" });
    orders(counts.orders);
  });
}
