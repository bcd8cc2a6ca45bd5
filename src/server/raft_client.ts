/**
 * Raft messages to other stores. `send` queues, `flush`, called once a poll round, groups what was
 * queued by connection and encodes it in one turn: one frame for each connection, mostly. When the
 * event loop is busy the round stays open for a while, so that frames get fewer and larger.
 * Source: tikv src/server/raft_client.rs.
 */
import { assert, type Logger, type Timers } from "../base/index.js";
import { MessageType } from "../raft/index.js";
import type {
  FrameLimits,
  MessageCodec,
  RaftEvents,
  RaftMessage,
  SchedulePort,
  SnapshotManager,
  Transport,
  TransportResult,
} from "../raftstore/index.js";
import type { OpenRaftChannel } from "./raft_channel.js";
import { type ConnDeps, RaftConn } from "./raft_conn.js";
import type { RaftCounters, RaftObserver } from "./raft_metrics.js";
import { frameMaxBytes, type RaftTransportOptions } from "./raft_options.js";
import { StoreResolver } from "./resolve.js";
import { SnapSender } from "./snap_sender.js";

export interface RaftClientDeps {
  readonly codec: MessageCodec;
  readonly events: RaftEvents;
  readonly snapshots: Pick<SnapshotManager, "open">;
  readonly pd: Pick<SchedulePort, "getStoreAddress">;
  readonly connect: OpenRaftChannel;
  readonly timers: Timers;
  /** Share of time in which the event loop was busy lately, 0 to 1. */
  readonly utilization: () => number;
  readonly logger: Logger;
  readonly counters: RaftCounters;
  readonly observer: RaftObserver;
}

/** A Transport that can be closed. */
export interface RaftClientHandle extends Transport {
  /** Cuts all streams; what is sent from here on is lost without a report. */
  close(): void;
}

/** Fibonacci hashing: region ids are consecutive, connections are few. */
const HASH_FACTOR = 0x9e37_79b1;
const TWO_32 = 0x1_0000_0000;

export class RaftClient implements RaftClientHandle {
  readonly #limits: FrameLimits;
  readonly #connDeps: ConnDeps;
  readonly #snapshots: SnapSender;
  /** All connections; the place in it is the target of the kernels. */
  readonly #conns: RaftConn[] = [];
  /** By store: the places of its connections. */
  readonly #places = new Map<number, number[]>();
  /** The round: messages and the places of their connections. */
  #messages: RaftMessage[] = [];
  #targets: number[] = [];
  /** One connection of the round has a full frame. */
  #isFrameFull = false;
  #cancelDelay: (() => void) | undefined;
  #isClosed = false;

  constructor(
    private readonly options: RaftTransportOptions,
    private readonly deps: RaftClientDeps,
  ) {
    assert(options.grpcRaftConnNum > 0, "at least one connection to each store");
    this.#limits = {
      messagesMax: options.raftMsgMaxBatchSize,
      bytesMax: frameMaxBytes(options),
    };
    const resolver = new StoreResolver(deps.pd, deps.counters);
    this.#connDeps = { ...deps, resolver };
    this.#snapshots = new SnapSender(options, { ...deps, resolver });
  }

  send(message: RaftMessage): TransportResult {
    if (this.#isClosed) return "full";
    if (message.message?.type === MessageType.Snapshot) {
      this.#snapshots.send(message);
      return "queued";
    }
    const place = this.#placeOf(message);
    const conn = this.#conns[place] as RaftConn;
    const taken = conn.take(message);
    if (taken === "lost") return "full";
    if (taken === "round") {
      this.#messages.push(message);
      this.#targets.push(place);
      if (conn.inRound >= this.#limits.messagesMax) this.#isFrameFull = true;
    }
    return "queued";
  }

  flush(): void {
    if (this.#messages.length === 0) return;
    const { heavyLoadWaitMs, heavyLoadThreshold } = this.options;
    const { counters, timers, utilization } = this.deps;
    const mayWait = heavyLoadWaitMs > 0 && !this.#isFrameFull;
    if (mayWait && (this.#cancelDelay !== undefined || utilization() * 100 >= heavyLoadThreshold)) {
      this.#cancelDelay ??= timers.after(heavyLoadWaitMs, () => {
        counters.delayedFlushes++;
        this.#flushNow();
      });
      return;
    }
    counters.flushes++;
    this.#flushNow();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelDelay?.();
    for (const conn of this.#conns) conn.close();
    this.#snapshots.close();
  }

  #flushNow(): void {
    this.#cancelDelay?.();
    this.#cancelDelay = undefined;
    this.#isFrameFull = false;
    const messages = this.#messages;
    const targets = this.#targets;
    this.#messages = [];
    this.#targets = [];
    const { codec, observer } = this.deps;
    for (const frame of codec.encodeFrames(messages, targets, this.#conns.length, this.#limits)) {
      observer.onFrame(frame.messages.length);
      (this.#conns[frame.target] as RaftConn).deliver(frame);
    }
  }

  #placeOf({ regionId, toPeer }: RaftMessage): number {
    const { grpcRaftConnNum } = this.options;
    const places = this.#places.get(toPeer.storeId) ?? this.#addStore(toPeer.storeId);
    const hash = Math.imul((regionId % TWO_32) | 0, HASH_FACTOR) >>> 16;
    return places[hash % grpcRaftConnNum] as number;
  }

  #addStore(storeId: number): number[] {
    const places: number[] = [];
    for (let i = 0; i < this.options.grpcRaftConnNum; i++) {
      places.push(this.#conns.length);
      this.#conns.push(new RaftConn(storeId, this.options, this.#limits, this.#connDeps));
    }
    this.#places.set(storeId, places);
    return places;
  }
}
