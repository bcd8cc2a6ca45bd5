/**
 * A replica of a region on this store: its Raft node, what waits for the log, and what requests see
 * of it. State and small steps; the work of a poll round is in peer_propose.ts, peer_ready.ts,
 * peer_applied.ts and peer_message.ts. Changed inside its poll rounds only.
 * Source: tikv raftstore/store/peer.rs.
 */
import { assert, type Clock, idToNumber, u64FromParts } from "../base/index.js";
import { type HardState, RAFT_DEFAULTS, RawNode, Role } from "../raft/index.js";
import type { ReadCommand } from "./commands.js";
import { EpochBarrier } from "./epoch_barrier.js";
import { FlowCounter } from "./flow.js";
import { LeaderLease } from "./lease.js";
import type { PeerContext } from "./peer_context.js";
import { pendingPeers } from "./peer_health.js";
import type { PeerStorage } from "./peer_storage.js";
import { ProposalQueue, WriteBuffer } from "./proposal.js";
import type { RaftMessage, RaftPeer } from "./raft_message.js";
import { ReadQueue } from "./read.js";
import type { ReadDelegate } from "./read_delegate.js";
import type { UnpersistedReady } from "./ready.js";
import type { PeerInfo, RegionInfo } from "./region.js";
import type { SnapKey } from "./snapshot/types.js";
import { SplitController } from "./split/controller.js";
import { StalePeerCheck } from "./workers/stale_peer.js";

/** Bytes that an entry may have beside its command: header and framing of cmd_codec. */
const ENTRY_FRAME_BYTES = 1024;

/** A snapshot that was taken and whose data is not in place yet. */
export interface IncomingSnapshot {
  readonly key: SnapKey;
  readonly region: RegionInfo;
}

export type PeerPhase =
  | "active"
  /** It answers nothing and waits for its delegate, then for its deletion. */
  | "destroying";

export class Peer implements ReadDelegate {
  readonly regionId: number;
  /** Tells this peer from earlier ones of the region in the notices of writes. */
  readonly life: number;
  readonly peerNumber: number;
  readonly storage: PeerStorage;
  readonly rawNode: RawNode;
  readonly proposals = new ProposalQueue();
  readonly barrier = new EpochBarrier();
  readonly writes = new WriteBuffer();
  readonly reads: ReadQueue;
  readonly lease: LeaderLease;
  readonly regionFlow = new FlowCounter();
  readonly storeFlow = new FlowCounter();
  readonly split: SplitController;
  readonly stale: StalePeerCheck;
  /** Log gc ticks in a row without a compaction. */
  skippedGcTicks = 0;
  /** Reads of this turn. */
  turnReads: ReadCommand[] = [];
  /** Readies that are not durable. */
  readonly unpersisted: UnpersistedReady[] = [];
  /** The newest hard state that Readies carried. */
  hardState: HardState;
  /** Handed to the delegate up to here. */
  handedTo: number;
  /** Newest committed split; while it is not applied nothing may rest on the lease. */
  splitIndex = 0;
  phase: PeerPhase = "active";
  incoming: IncomingSnapshot | undefined;
  /** A snapshot message that waits until everything handed out is applied. */
  heldSnapshot: RaftMessage | undefined;
  /** Destroy this peer as soon as what is handed out is applied, then hand on the message. */
  removal: { readonly redeliver: RaftMessage | undefined } | undefined;
  /**
   * Whether the leader spoke since the last look at it. That a leader is known says less: a learner
   * never campaigns, so it knows its last leader for ever, and would never find out that it was
   * removed.
   */
  leaderHeard = false;
  /** Followers that PD was told need a snapshot; it hears of it when they have one. */
  pendingTold: ReadonlySet<number> = new Set();
  /** Ticks since the start. */
  ticks = 0;
  /** Whether a tick waits in the mailbox. */
  tickPending = false;
  /** Clock at the start of this turn, ms: rounds of it began later. */
  turnMs = 0;
  /** Whether a leader of its own term has applied, and had its lease renewed for it. */
  servedTerm = 0;
  /** When this leader last heard its peers, monotonic ms. */
  readonly #heardMs = new Map<number, number>();
  #ledSinceMs = 0;
  /** Addresses of peers that are not in the region: who speaks to one that knows nobody yet. */
  readonly #addresses = new Map<number, RaftPeer>();
  readonly #clock: Clock;
  #self: PeerInfo;
  #term = 0n;
  #leader: PeerInfo | undefined;
  #leaderNumber = 0;
  #isLeader = false;
  #hasServed = false;

  constructor(
    storage: PeerStorage,
    self: PeerInfo,
    ctx: PeerContext,
    how: { readonly life: number; readonly restarted: boolean },
  ) {
    const { options, prng } = ctx;
    this.storage = storage;
    this.regionId = storage.regionId;
    this.life = how.life;
    this.#self = self;
    this.#clock = ctx.clock;
    this.peerNumber = idToNumber(self.id);
    this.reads = new ReadQueue(u64FromParts(prng.nextU32(), prng.nextU32()));
    this.lease = new LeaderLease(options.raftStoreMaxLeaderLeaseMs);
    this.split = new SplitController(options);
    this.stale = new StalePeerCheck(options);
    this.hardState = storage.initialState().hardState;
    this.handedTo = storage.applyState.appliedIndex;
    this.rawNode = new RawNode(
      {
        ...RAFT_DEFAULTS,
        id: this.peerNumber,
        applied: storage.applyState.appliedIndex,
        electionTicks: options.raftElectionTimeoutTicks,
        heartbeatTicks: options.raftHeartbeatTicks,
        restarted: how.restarted,
        messageSizeMaxBytes: options.raftMaxSizePerMsgBytes,
        inflightMessagesMax: options.raftMaxInflightMsgs,
        entrySizeMaxBytes: options.raftEntryMaxSizeBytes + ENTRY_FRAME_BYTES,
        commitTellsApplied: true,
        disableProposalForwarding: true,
      },
      { prng, storage },
    );
    this.publish();
  }

  get region(): RegionInfo {
    return this.storage.region;
  }

  get self(): PeerInfo {
    return this.#self;
  }

  get peerId(): bigint {
    return this.#self.id;
  }

  get term(): bigint {
    return this.#term;
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  get leader(): PeerInfo | undefined {
    return this.#leader;
  }

  get isActive(): boolean {
    return this.phase === "active";
  }

  get applied(): number {
    return this.storage.applyState.appliedIndex;
  }

  /** Whether this peer has led and served reads under a lease. */
  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** Whether everything that was handed to the delegate is applied. */
  get isCaughtUp(): boolean {
    return this.applied === this.handedTo;
  }

  /** Approximate bytes of the log that is kept: by the mean size of what was appended. */
  get logBytes(): number {
    return this.storage.log.approximateBytes;
  }

  get isSplitting(): boolean {
    return this.splitIndex > this.applied;
  }

  get dataReady(): boolean {
    return this.isActive && this.storage.isInitialized && this.incoming === undefined;
  }

  canReadLocally(): boolean {
    return (
      this.#isLeader &&
      this.isActive &&
      this.storage.appliedTerm === this.rawNode.term &&
      !this.rawNode.leaseSuspect &&
      !this.isSplitting &&
      this.lease.isValid(this.#clock.monotonicMs())
    );
  }

  /** Returns true once: when this peer can serve reads for the first time. */
  noteServing(): boolean {
    if (this.#hasServed || !this.canReadLocally()) return false;
    this.#hasServed = true;
    return true;
  }

  onWritten(keys: number, bytes: number): void {
    this.regionFlow.written(keys, bytes);
    this.storeFlow.written(keys, bytes);
  }

  onRead(keys: number, bytes: number): void {
    this.regionFlow.read(keys, bytes);
    this.storeFlow.read(keys, bytes);
  }

  /** Takes over a region of another epoch, and this peer's role in it. */
  setRegion(region: RegionInfo): void {
    const own = region.peers.find((peer) => idToNumber(peer.id) === this.peerNumber);
    this.storage.setRegion(region);
    if (own !== undefined) this.#self = own;
  }

  /** Silence counts from the election on. */
  onElected(): void {
    this.#heardMs.clear();
    this.#ledSinceMs = this.turnMs;
  }

  /** Returns how long a peer has said nothing to this leader, ms. */
  silentMs(peerNumber: number): number {
    if (peerNumber === this.peerNumber) return 0;
    return this.#clock.monotonicMs() - (this.#heardMs.get(peerNumber) ?? this.#ledSinceMs);
  }

  /** Returns the followers of this leader that need a snapshot. */
  pendingPeers(): readonly PeerInfo[] {
    const match = new Map(this.rawNode.status().progress.map((one) => [one.id, one.match]));
    const { truncatedIndex } = this.storage.applyState;
    return pendingPeers(
      this.region,
      this.#self,
      (id) => match.get(Number(id)) ?? 0,
      truncatedIndex,
    );
  }

  /** Whether PD was told that a follower needs a snapshot, and now it has one; once for each. */
  takeCaughtUp(peerNumber: number): boolean {
    if (!this.pendingTold.has(peerNumber)) return false;
    if (this.pendingPeers().some(({ id }) => Number(id) === peerNumber)) return false;
    this.pendingTold = new Set([...this.pendingTold].filter((one) => one !== peerNumber));
    return true;
  }

  /** Remembers where a peer is that speaks to this one, and that it did. */
  noteSpeaker(peer: RaftPeer): void {
    if (this.#isLeader) this.#heardMs.set(peer.id, this.turnMs);
    // Members are found in the region; a few others: candidates before the first snapshot.
    if (this.#addresses.size >= 16 && !this.#addresses.has(peer.id)) this.#addresses.clear();
    this.#addresses.set(peer.id, peer);
  }

  /** Returns where a peer of the group is, if that is known. */
  addressOf(peerNumber: number): RaftPeer | undefined {
    for (const { id, storeId, role } of this.region.peers) {
      if (Number(id) === peerNumber) {
        return { id: peerNumber, storeId: idToNumber(storeId), role };
      }
    }
    return this.#addresses.get(peerNumber);
  }

  /** Makes role, term and leader visible to requests; returns whether any of them changed. */
  publish(): boolean {
    const { term, role, leader } = this.rawNode;
    const isLeader = role === Role.Leader && this.isActive;
    const known = leader === 0 || (leader === this.peerNumber && !isLeader) ? 0 : leader;
    const changed =
      Number(this.#term) !== term ||
      this.#isLeader !== isLeader ||
      this.#leaderNumber !== known ||
      (known !== 0 && this.#leader === undefined);
    if (!changed) return false;
    this.#term = BigInt(term);
    this.#isLeader = isLeader;
    this.#leaderNumber = known;
    const address = known === 0 ? undefined : this.addressOf(known);
    this.#leader =
      address === undefined
        ? undefined
        : { id: BigInt(address.id), storeId: BigInt(address.storeId), role: address.role };
    assert(!isLeader || this.#leader !== undefined, "a leader is a member of its region");
    return true;
  }
}
