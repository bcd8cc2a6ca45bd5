/**
 * Regions of one store without Raft, for tests of what lies above: leadership, leases and deliveries
 * are the test's to change. Writes are checked when they are delivered, as a peer does when it
 * proposes, and applied to the engine at once.
 */
import { EMPTY_BYTES, err, ok } from "../../src/base/index.js";
import type { Engine } from "../../src/engine/index.js";
import { FlowCounter } from "../../src/raftstore/flow.js";
import {
  checkRequest,
  type PeerInfo,
  type PeerMsg,
  type ReadDelegate,
  type RegionError,
  type RegionInfo,
  type RegionRouter,
  type WriteCommand,
} from "../../src/raftstore/index.js";
import type { RequestContext } from "../../src/storage/index.js";

export class FakePeer implements ReadDelegate {
  readonly regionFlow = new FlowCounter();
  readonly storeFlow = new FlowCounter();
  isLeader = true;
  leader: PeerInfo | undefined;
  term = 6n;
  hasLease = true;
  dataReady = true;
  applied = 10;

  constructor(
    public region: RegionInfo,
    readonly self: PeerInfo,
  ) {}

  get regionId(): number {
    return Number(this.region.id);
  }

  get peerId(): bigint {
    return this.self.id;
  }

  canReadLocally(): boolean {
    return this.isLeader && this.hasLease;
  }

  onWritten(keys: number, bytes: number): void {
    this.regionFlow.written(keys, bytes);
  }

  onRead(keys: number, bytes: number): void {
    this.regionFlow.read(keys, bytes);
  }
}

const LEADER_ELSEWHERE: PeerInfo = { id: 900n, storeId: 9n, role: 0 };

export class FakeRegions implements RegionRouter {
  readonly storeId = 1n;
  readonly clusterId = 7_000_000_000_000_000_001n;
  readonly refused: RegionError[] = [];
  /** Every message that was sent. */
  readonly sent: PeerMsg[] = [];
  /** Messages wait for `deliver` while set. */
  holds = false;
  /** The next sends answer this. */
  sendResult: "sent" | "full" | "closed" = "sent";
  readonly #peers = new Map<bigint, FakePeer>();
  readonly #waiting: PeerMsg[] = [];
  #lastWrite: (peer: ReadDelegate) => WriteCommand | undefined = () => undefined;
  #sorted: readonly FakePeer[] = [];

  constructor(readonly engine: Engine) {}

  /** Adds a region with one peer here and one elsewhere. Keys are region keys. */
  add(id: bigint, startKey: Uint8Array, endKey: Uint8Array): FakePeer {
    const self: PeerInfo = { id: id + 100n, storeId: this.storeId, role: 0 };
    const region: RegionInfo = {
      id,
      startKey,
      endKey,
      confVer: 1n,
      version: 1n,
      peers: [self, LEADER_ELSEWHERE],
    };
    const peer = new FakePeer(region, self);
    this.#peers.set(id, peer);
    this.changed();
    return peer;
  }

  remove(id: bigint): void {
    this.#peers.delete(id);
    this.changed();
  }

  /** Tells the users of `delegates` that a view has changed. */
  changed(): void {
    this.#sorted = [...this.#peers.values()].sort((a, b) => a.regionId - b.regionId);
  }

  /** The context with which a client addresses a peer. */
  context(peer: FakePeer): RequestContext {
    return {
      regionId: peer.region.id,
      confVer: peer.region.confVer,
      version: peer.region.version,
      peerId: peer.peerId,
      storeId: this.storeId,
      term: 0n,
      apiVersion: 0,
      keyspaceId: 0,
      replicaRead: false,
      staleRead: false,
    };
  }

  /** Another peer leads from now on. */
  depose(peer: FakePeer): void {
    peer.isLeader = false;
    peer.leader = LEADER_ELSEWHERE;
    peer.term += 1n;
    this.changed();
  }

  delegates(): readonly ReadDelegate[] {
    return this.#sorted;
  }

  delegate(regionId: bigint): FakePeer | undefined {
    return this.#peers.get(regionId);
  }

  send(regionId: number, message: PeerMsg): "sent" | "full" | "closed" | "notFound" {
    if (!this.#peers.has(BigInt(regionId))) return "notFound";
    if (this.sendResult !== "sent") return this.sendResult;
    this.sent.push(message);
    this.#waiting.push(message);
    if (!this.holds) setImmediate(() => this.deliver(1));
    return "sent";
  }

  beforeHandover(write: (peer: ReadDelegate) => WriteCommand | undefined): void {
    this.#lastWrite = write;
  }

  /** The leader that is elsewhere has nothing against reads. */
  leaderJudges: (check: Uint8Array) => Uint8Array = () => EMPTY_BYTES;

  /** What the leader writes before it gives leadership or keys away, delivered at once. */
  handOver(peer: FakePeer): void {
    const command = this.#lastWrite(peer);
    if (command !== undefined) this.#handle({ kind: "write", command });
  }

  onRefused(error: RegionError): void {
    this.refused.push(error);
  }

  /** Hands over the oldest `count` messages that wait. */
  deliver(count = this.#waiting.length): void {
    for (const message of this.#waiting.splice(0, count)) this.#handle(message);
  }

  #handle(message: PeerMsg): void {
    if (message.kind === "write") {
      const { header, data, onProposed, onCommitted, done } = message.command;
      const found = checkRequest(header, this.storeId, (id) => this.#peers.get(id));
      if (!found.ok) {
        done(err(found.error));
        return;
      }
      onProposed?.();
      onCommitted?.();
      void this.engine.writeBytes(data, { sync: false }).then(() => done(ok(undefined)));
    } else if (message.kind === "read") {
      const { header, replicaRead, check = EMPTY_BYTES, done } = message.command;
      const by = replicaRead ? "replica" : "leader";
      const found = checkRequest(header, this.storeId, (id) => this.#peers.get(id), by);
      const verdict = check.length > 0 ? this.leaderJudges(check) : EMPTY_BYTES;
      done(found.ok ? ok({ readIndex: 7, verdict }) : err(found.error));
    }
  }
}
