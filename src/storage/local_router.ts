/**
 * RegionRouter over a store whose peers lead their regions alone: a write is applied and synced at
 * once, a read needs no confirmation. Goes when the Raft store takes its place.
 */
import { ok } from "../base/index.js";
import type { Engine } from "../engine/index.js";
import type {
  Peer,
  PeerInfo,
  PeerMsg,
  ReadDelegate,
  RegionError,
  RegionInfo,
  RegionRouter,
  Store,
} from "../raftstore/index.js";

class LocalDelegate implements ReadDelegate {
  readonly regionId: number;
  readonly dataReady = true;

  constructor(readonly inner: Peer) {
    this.regionId = Number(inner.region.id);
  }

  get region(): RegionInfo {
    return this.inner.region;
  }

  get self(): PeerInfo {
    return this.inner.self;
  }

  get peerId(): bigint {
    return this.inner.peerId;
  }

  get term(): bigint {
    return this.inner.term;
  }

  get isLeader(): boolean {
    return this.inner.isLeader;
  }

  get leader(): PeerInfo {
    return this.inner.leader;
  }

  get regionFlow(): Peer["regionFlow"] {
    return this.inner.regionFlow;
  }

  get storeFlow(): Peer["storeFlow"] {
    return this.inner.storeFlow;
  }

  canReadLocally(): boolean {
    return true;
  }

  onWritten(keys: number, bytes: number): void {
    this.inner.onWritten(keys, bytes);
  }

  onRead(keys: number, bytes: number): void {
    this.inner.onRead(keys, bytes);
  }
}

export class LocalRouter implements RegionRouter {
  private readonly byId: ReadonlyMap<bigint, ReadDelegate>;
  private readonly sorted: readonly ReadDelegate[];

  constructor(
    private readonly store: Store,
    private readonly engine: Engine,
    private readonly onFatal: (error: Error) => void,
  ) {
    this.sorted = store.peers().map((peer) => new LocalDelegate(peer));
    this.byId = new Map(this.sorted.map((peer) => [peer.region.id, peer]));
  }

  get storeId(): bigint {
    return this.store.storeId;
  }

  get clusterId(): bigint {
    return this.store.clusterId;
  }

  delegates(): readonly ReadDelegate[] {
    return this.sorted;
  }

  delegate(regionId: bigint): ReadDelegate | undefined {
    return this.byId.get(regionId);
  }

  send(regionId: number, message: PeerMsg): "sent" | "notFound" {
    if (!this.byId.has(BigInt(regionId))) return "notFound";
    if (message.kind === "write") {
      const { data, done } = message.command;
      this.engine.writeBytes(data, { sync: true }).then(() => done(ok(undefined)), this.onFatal);
    } else if (message.kind === "read") {
      message.command.done(ok({ readIndex: 0 }));
    } else if (message.kind === "splitWish") {
      const error = { kind: "other", message: "a region alone is not split" } as const;
      message.wish.done({ ok: false, error });
    }
    return "sent";
  }

  onRefused(error: RegionError): void {
    this.store.counters.onRefused(error);
  }
}
