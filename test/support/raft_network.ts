/**
 * A group of Raft peers in one thread from one seed: ticks in step, messages delayed, lost,
 * doubled, reordered and partitioned, writes that finish late, crashes, restarts, compaction,
 * changes of members, transfers, reads. The checkers run inside and throw.
 *
 *   one leader a term · committed never lost (the applied prefixes are equal and a leader has all
 *   of it) · log matching · a read sees what was committed when it began · a lease means that
 *   nobody else commits
 */
import { createHash } from "node:crypto";
import { assert, Prng } from "../../src/base/index.js";
import { eraftpb } from "../../src/pb/index.js";
import {
  type ConfChangeSingle,
  type ConfState,
  EMPTY_CONF_STATE,
  type Message,
  MessageType,
  messageToWire,
  type RaftOptions,
  type ReadState,
  Role,
  type TraceEvent,
} from "../../src/raft/index.js";
import { FreshStorage, TestPeer } from "./raft_peer.js";

export interface NetworkOptions {
  readonly peers: number;
  readonly rounds: number;
  readonly raft?: Partial<RaftOptions>;
  /** Hash every message, for comparing runs. */
  readonly hash?: boolean;
}

interface Flying {
  readonly message: Message;
  readonly due: number;
}

const FIRST_INDEX = 5;
/** Marks a lost snapshot on its way back to the sender. */
const LOST = new Uint8Array(1);
const DELAY_ROUNDS_MAX = 4;
const SETTLE_ROUNDS_MAX = 400;

export interface NetworkReport {
  readonly hash: string;
  readonly leaders: number;
  readonly committed: number;
  readonly reads: number;
  readonly snapshots: number;
  readonly changes: number;
  readonly crashes: number;
}

export class RaftNetwork {
  readonly peers = new Map<number, TestPeer>();
  private readonly prng: Prng;
  private readonly hash = createHash("sha256");
  private flying: Flying[] = [];
  private round = 0;
  private readonly leaderOf = new Map<number, number>();
  /** Digest behind each committed index. */
  private readonly digests = new Map<number, number>();
  /** Term of each committed index, as first seen. */
  private readonly terms = new Map<number, number>();
  private committedMax = FIRST_INDEX;
  private readonly cut = new Set<string>();
  private readonly readFloor = new Map<string, number>();
  private lossPercent = 0;
  private proposals = 0;
  private readonly counts = { reads: 0, snapshots: 0, changes: 0, crashes: 0 };

  constructor(
    seed: bigint,
    private readonly options: NetworkOptions,
  ) {
    this.prng = new Prng(seed);
    const voters = [...Array(options.peers).keys()].map((i) => i + 1);
    for (const id of voters) this.addPeer(id, { ...EMPTY_CONF_STATE, voters });
  }

  /** Runs faults, then heals everything and requires that the group serves again. */
  run(): NetworkReport {
    for (let i = 0; i < this.options.rounds; i++) {
      this.faults();
      this.inputs();
      this.turn();
    }
    this.settle();
    this.checkLogs();
    return {
      hash: this.hash.digest("hex"),
      leaders: this.leaderOf.size,
      committed: this.committedMax,
      ...this.counts,
    };
  }

  private addPeer(id: number, members: ConfState): void {
    const start = members.voters.length === 0 ? 0 : FIRST_INDEX;
    const storage = new FreshStorage(members, start, start);
    const events = {
      sent: (message: Message) => this.onSent(message),
      applied: (peer: TestPeer, index: number, digest: number) =>
        this.onApplied(peer, index, digest),
      read: (peer: TestPeer, state: ReadState) => this.onRead(peer, state),
      trace: (peer: TestPeer, event: TraceEvent) => this.onTrace(peer, event),
    };
    const overrides = {
      messageSizeMaxBytes: 120,
      inflightMessagesMax: 4,
      committedSizeMaxBytes: 200,
      ...this.options.raft,
      id,
    };
    const prng = new Prng(BigInt(this.prng.nextU32()));
    this.peers.set(id, new TestPeer(overrides, prng, events, storage));
  }

  private living(): TestPeer[] {
    return [...this.peers.values()].filter((peer) => peer.alive);
  }

  private leaders(): TestPeer[] {
    return this.living().filter((peer) => peer.node.status().role === Role.Leader);
  }

  private faults(): void {
    const { prng } = this;
    if (prng.ratio(1, 60)) this.lossPercent = prng.pick([0, 0, 5, 20]);
    if (prng.ratio(1, 50)) this.cutAtRandom();
    if (prng.ratio(1, 25)) this.cut.clear();
    for (const peer of this.peers.values()) {
      if (peer.alive && prng.ratio(1, 120)) {
        peer.crash();
        this.counts.crashes++;
      } else if (!peer.alive && prng.ratio(1, 15)) this.restart(peer);
    }
  }

  private cutAtRandom(): void {
    const ids = [...this.peers.keys()];
    const lonely = this.prng.pick(ids);
    const oneWay = this.prng.ratio(1, 3);
    for (const id of ids) {
      this.cut.add(`${lonely}>${id}`);
      if (!oneWay) this.cut.add(`${id}>${lonely}`);
    }
  }

  private restart(peer: TestPeer): void {
    const from = peer.storage.firstIndex() - 1;
    const applied = this.prng.range(from, peer.applied + 1);
    peer.restart(applied, new Prng(BigInt(this.prng.nextU32())));
  }

  private inputs(): void {
    const { prng } = this;
    for (const peer of this.living()) {
      if (prng.ratio(1, 3)) peer.node.propose(this.payload());
      if (prng.ratio(1, 6)) this.read(peer);
      if (prng.ratio(1, 60)) peer.node.transferLeader(prng.pick([...this.peers.keys()]));
      if (prng.ratio(1, 80)) peer.node.campaign();
      if (prng.ratio(1, 20) && peer.applied > peer.storage.firstIndex() + 3)
        peer.compact(prng.range(peer.storage.firstIndex(), peer.applied + 1));
    }
    if (prng.ratio(1, 12)) for (const leader of this.leaders()) this.changeMembers(leader);
  }

  private payload(): Uint8Array {
    this.proposals++;
    const text = `p${this.proposals}`.padEnd(this.prng.range(4, 60), ".");
    return new TextEncoder().encode(text);
  }

  private read(peer: TestPeer): void {
    const name = `r${this.readFloor.size}`;
    this.readFloor.set(name, this.committedMax);
    peer.node.readIndex(new TextEncoder().encode(name));
  }

  private changeMembers(leader: TestPeer): void {
    const { prng } = this;
    const changes: ConfChangeSingle[] = [];
    const count = prng.pick([0, 1, 1, 2, 3]);
    for (let i = 0; i < count; i++) {
      const id = prng.range(1, this.options.peers + 3);
      const type = prng.pick([0, 0, 0, 1, 2] as const);
      if (!this.peers.has(id)) this.addPeer(id, EMPTY_CONF_STATE);
      changes.push({ type, id });
    }
    const transition = prng.pick([0, 0, 0, 1, 2] as const);
    leader.node.proposeConfChange({ transition, changes, context: new Uint8Array(0) });
  }

  /** One round: all tick, messages arrive in random order, some writes finish. */
  private turn(): void {
    this.round++;
    const order = this.living();
    this.prng.shuffle(order);
    for (const peer of order) {
      peer.node.tick();
      peer.takeReadies();
      this.checkLease();
    }
    const due = this.flying.filter((flight) => flight.due <= this.round);
    this.flying = this.flying.filter((flight) => flight.due > this.round);
    this.prng.shuffle(due);
    for (const { message } of due) this.deliver(message);
    for (const peer of this.living()) this.writes(peer);
    this.checkLease();
  }

  /** Says how a snapshot's sending ended, not always truly. */
  private reportSnapshot(message: Message, failed: boolean): void {
    const sender = this.peers.get(message.from) as TestPeer;
    if (!sender.alive) return;
    sender.node.reportSnapshot(message.to, failed);
    sender.takeReadies();
  }

  private deliver(message: Message): void {
    const peer = this.peers.get(message.to);
    if (message.context === LOST || peer === undefined || !peer.alive) {
      if (message.type === MessageType.Snapshot) this.reportSnapshot(message, true);
      return;
    }
    peer.node.step(message);
    peer.takeReadies();
    if (message.type === MessageType.Snapshot) this.reportSnapshot(message, this.prng.ratio(1, 4));
    if (this.prng.ratio(1, 4)) this.writes(peer);
  }

  private writes(peer: TestPeer): void {
    if (peer.pending.length === 0) return;
    peer.persist(this.prng.range(0, peer.pending.length + 1));
    peer.takeReadies();
  }

  private onSent(message: Message): void {
    if (this.options.hash)
      this.hash.update(eraftpb.Message.encode(messageToWire(message)).finish());
    if (message.type === MessageType.Snapshot) this.counts.snapshots++;
    const lost =
      this.cut.has(`${message.from}>${message.to}`) || this.prng.ratio(this.lossPercent, 100);
    if (lost) {
      // The sender of a snapshot learns that it failed; of others nothing.
      if (message.type === MessageType.Snapshot)
        this.flying.push({ message: { ...message, context: LOST }, due: this.round + 1 });
      return;
    }
    const copies = this.lossPercent > 0 && this.prng.ratio(1, 20) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const due = this.round + this.prng.below(DELAY_ROUNDS_MAX);
      this.flying.push({ message: { ...message }, due });
    }
  }

  private onApplied(peer: TestPeer, index: number, digest: number): void {
    const known = this.digests.get(index);
    assert(known === undefined || known === digest, `committed ${index} differs on ${peer.id}`);
    this.digests.set(index, digest);
    this.committedMax = Math.max(this.committedMax, index);
    const term = peer.storage.term(index);
    if (term !== undefined) this.terms.set(index, term);
  }

  private onRead(peer: TestPeer, state: ReadState): void {
    const floor = this.readFloor.get(new TextDecoder().decode(state.context));
    assert(floor !== undefined && state.index >= floor, `read on ${peer.id} misses ${floor}`);
    this.counts.reads++;
  }

  private onTrace(peer: TestPeer, event: TraceEvent): void {
    if (event.kind === "commit") this.committedMax = Math.max(this.committedMax, event.index);
    if (event.kind === "members") this.counts.changes++;
    if (event.kind !== "role" || event.role !== Role.Leader) return;
    const other = this.leaderOf.get(event.term) ?? peer.id;
    assert(other === peer.id, `${other} and ${peer.id} lead term ${event.term}`);
    this.leaderOf.set(event.term, peer.id);
    for (const [index, term] of this.terms) {
      if (index < peer.storage.firstIndex()) continue;
      assert(peer.storage.term(index) === term, `leader ${peer.id} lacks committed ${index}`);
    }
  }

  private checkLease(): void {
    const holders = this.living().filter((peer) => peer.node.leaseValid());
    for (const holder of holders) {
      const { term } = holder.node.status();
      for (const other of this.leaders()) {
        const status = other.node.status();
        assert(
          status.term <= term || !status.committedInTerm,
          `${other.id} commits in term ${status.term} during the lease of ${holder.id}`,
        );
      }
    }
  }

  /** Log matching: where two durable logs agree on a term, they agree on all before it. */
  private checkLogs(): void {
    const peers = [...this.peers.values()];
    for (const a of peers) {
      for (const b of peers) {
        if (a.id >= b.id) continue;
        let agreed = false;
        const first = Math.max(a.storage.firstIndex(), b.storage.firstIndex());
        const last = Math.min(a.storage.lastIndex(), b.storage.lastIndex());
        for (let index = last; index >= first; index--) {
          const same = a.storage.term(index) === b.storage.term(index);
          assert(same || !agreed, `logs of ${a.id} and ${b.id} differ before ${index}`);
          agreed ||= same;
        }
      }
    }
  }

  private settle(): void {
    this.cut.clear();
    this.lossPercent = 0;
    for (const peer of this.peers.values()) if (!peer.alive) this.restart(peer);
    for (let i = 0; i < SETTLE_ROUNDS_MAX; i++) {
      this.turn();
      for (const peer of this.living()) {
        peer.persist();
        peer.takeReadies();
      }
      if (i % 10 === 0) this.checkLogs();
      if (i > 60 && this.settled()) return;
      if (i % 20 === 19) for (const leader of this.leaders()) leader.node.propose(this.payload());
    }
    throw new Error(`the group does not settle:\n${this.describe()}`);
  }

  /** Returns whether one leader's members have all applied the same. */
  private settled(): boolean {
    const leader = this.leaders().at(-1);
    if (leader === undefined) return false;
    const { config, term } = leader.node.status();
    if (config.autoLeave || !leader.node.status().committedInTerm) return false;
    return [...config.voters, ...config.learners].every((id) => {
      const peer = this.peers.get(id) as TestPeer;
      return peer.applied === leader.applied && peer.node.status().term === term;
    });
  }

  describe(): string {
    return [...this.peers.values()].map((peer) => peer.node.debugState()).join("\n");
  }
}
