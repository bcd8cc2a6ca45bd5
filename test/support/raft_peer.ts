/**
 * One Raft peer with a driver for tests: a durable part (MemoryStorage and a state machine) that
 * survives a crash, writes that stay pending until told to finish, and a digest of everything that
 * was applied.
 */
import { assert, type Prng } from "../../src/base/index.js";
import {
  type ConfState,
  confChangeOfEntry,
  type Entry,
  EntryType,
  MemoryStorage,
  type Message,
  RAFT_DEFAULTS,
  type RaftOptions,
  RawNode,
  type ReadState,
  type Ready,
  type Snapshot,
  type TraceEvent,
} from "../../src/raft/index.js";

/** State of the state machine behind one index. */
export interface Applied {
  readonly digest: number;
  readonly confState: ConfState;
}

/** A storage that makes its snapshots when they are asked for, as stores do. */
export class FreshStorage extends MemoryStorage {
  refresh: (() => void) | null = null;

  override snapshot(index: number, to: number): Snapshot | null {
    this.refresh?.();
    return super.snapshot(index, to);
  }
}

/** What a peer reports to its network, in the order of events. */
export interface PeerEvents {
  sent(message: Message): void;
  applied(peer: TestPeer, index: number, digest: number): void;
  read(peer: TestPeer, state: ReadState): void;
  trace(peer: TestPeer, event: TraceEvent): void;
}

const FNV_PRIME = 0x0100_0193;

function mixBytes(digest: number, bytes: Uint8Array): number {
  let hash = digest;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, FNV_PRIME) >>> 0;
  return hash;
}

/** Returns the digest behind an entry: it covers all entries before it too. */
export function digestAfter(digest: number, entry: Entry): number {
  const head = new Uint8Array(Float64Array.of(entry.index, entry.term, entry.type).buffer);
  return mixBytes(mixBytes(digest, head), entry.data);
}

/** Invariant: history holds the state behind `applied` and behind every index it may go back to. */
export class TestPeer {
  readonly id: number;
  readonly storage: MemoryStorage;
  node: RawNode;
  /** Readies whose writes are not durable yet, oldest first. */
  pending: Ready[] = [];
  applied: number;
  readonly history = new Map<number, Applied>();
  alive = true;

  constructor(
    private readonly overrides: Partial<RaftOptions> & { readonly id: number },
    private prng: Prng,
    private readonly events: PeerEvents,
    storage: MemoryStorage,
  ) {
    this.id = overrides.id;
    this.storage = storage;
    this.applied = storage.firstIndex() - 1;
    this.history.set(this.applied, { digest: 0, confState: storage.confState });
    if (storage instanceof FreshStorage) storage.refresh = () => this.makeSnapshot();
    this.node = this.start(false);
  }

  get state(): Applied {
    return this.history.get(this.applied) as Applied;
  }

  /** Loses what is not durable. */
  crash(): void {
    this.alive = false;
    this.pending = [];
  }

  /** Starts again; the state machine may have lost what it applied since `applied`. */
  restart(applied: number, prng: Prng): void {
    const state = this.history.get(applied);
    assert(state !== undefined, "the state machine goes back to a state that it had");
    this.applied = applied;
    this.storage.confState = state.confState;
    this.prng = prng;
    this.alive = true;
    this.node = this.start(true);
  }

  /** Takes all Readies: sends what may go, applies what is committed, leaves the writes pending. */
  takeReadies(): void {
    // Ends: each Ready hands out something, and nothing here gives the node new input but applying.
    while (this.node.hasReady()) this.takeReady();
  }

  takeReady(): Ready {
    const ready = this.node.ready();
    for (const message of ready.messages) this.events.sent(message);
    for (const state of ready.readStates) this.events.read(this, state);
    this.pending.push(ready);
    this.apply(ready.committed);
    return ready;
  }

  /** Makes the oldest `count` pending Readies durable and sends what waited for that. */
  persist(count = this.pending.length): void {
    const done = this.pending.splice(0, count);
    const last = done.at(-1);
    if (last === undefined) return;
    for (const ready of done) {
      if (ready.snapshot !== null) this.storage.applySnapshot(ready.snapshot);
      this.storage.append(ready.entries);
      if (ready.hardState !== null) this.storage.hardState = ready.hardState;
      for (const message of ready.messagesAfterPersist) this.events.sent(message);
    }
    this.node.onPersisted(last.number);
    for (const { snapshot } of done) {
      if (snapshot === null) continue;
      const { index, confState } = snapshot.metadata;
      const digest = new DataView(snapshot.data.buffer, snapshot.data.byteOffset).getUint32(0);
      this.setApplied(index, { digest, confState });
      this.node.onApplied(index);
    }
  }

  /** Makes a snapshot of the applied state and removes the log up to `index`. */
  compact(index: number): void {
    this.makeSnapshot();
    this.storage.compact(index);
  }

  makeSnapshot(): void {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, this.state.digest);
    this.storage.createSnapshot(this.applied, this.state.confState, data);
  }

  private apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.applied + 1, "entries are applied one behind the other");
      let { confState } = this.state;
      if (entry.type !== EntryType.Normal) {
        const change = confChangeOfEntry(entry);
        assert(change !== undefined, "a committed change parses");
        confState = this.node.applyConfChange(change);
      }
      this.setApplied(entry.index, { digest: digestAfter(this.state.digest, entry), confState });
    }
    const last = entries.at(-1);
    if (last !== undefined) this.node.onApplied(last.index);
  }

  private setApplied(index: number, state: Applied): void {
    this.applied = index;
    this.history.set(index, state);
    this.events.applied(this, index, state.digest);
  }

  private start(restarted: boolean): RawNode {
    const options = { ...RAFT_DEFAULTS, restarted, ...this.overrides, applied: this.applied };
    return new RawNode(options, {
      prng: this.prng,
      storage: this.storage,
      trace: (event) => this.events.trace(this, event),
    });
  }
}
