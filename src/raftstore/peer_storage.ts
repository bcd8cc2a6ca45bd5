/**
 * The Raft storage of one peer, over the engine: what its log, its states and its members are, and
 * snapshots on request. Not here: writing (write_task.ts), applying (apply/), the files of snapshots
 * (snapshot/). Source: tikv raftstore/store/peer_storage.rs.
 */
import { assert, idToNumber } from "../base/index.js";
import { snapshotRaftStateKey } from "../codec/index.js";
import type { Engine } from "../engine/index.js";
import {
  type EntriesResult,
  type Entry,
  type FetchContext,
  type InitialState,
  isMember,
  type Snapshot,
  type Storage,
} from "../raft/index.js";
import { confStateOf } from "./conf_state.js";
import { EntryStorage } from "./entry_storage.js";
import {
  decodeRaftLocalState,
  encodeRaftApplyState,
  encodeRaftLocalState,
  encodeRegionLocalState,
  initialApplyState,
  initialRaftState,
  PEER_STATE,
  RAFT_INIT_LOG_TERM,
  type RaftApplyState,
  type RaftLocalState,
  readRaftApplyState,
  readRaftLocalState,
} from "./local_state.js";
import type { ReadyWrite } from "./ready.js";
import type { RegionInfo } from "./region.js";
import type { GeneratedSnapshot, SnapshotTask } from "./snapshot/types.js";
import type { SnapshotStates, WriteRow } from "./write_task.js";

/** What a peer has before anything was written: created by a message. */
const EMPTY_APPLY_STATE: RaftApplyState = {
  appliedIndex: 0,
  commitIndex: 0,
  commitTerm: 0,
  truncatedIndex: 0,
  truncatedTerm: 0,
};
const EMPTY_RAFT_STATE: RaftLocalState = { term: 0, vote: 0, commit: 0, lastIndex: 0 };

type Reader = Pick<Engine, "get" | "snapshot">;

/**
 * Returns the raft state to start from. A peer that a split made has none, or the one of an
 * uninitialised peer that gave way to it: its term and vote were promised and stay.
 */
function loadRaftState(reader: Reader, region: RegionInfo, apply: RaftApplyState): RaftLocalState {
  const stored = readRaftLocalState(reader, region.id);
  if (region.peers.length === 0) return stored ?? EMPTY_RAFT_STATE;
  if (stored === undefined) return initialRaftState();
  if (stored.lastIndex > 0) {
    const commit = Math.max(stored.commit, apply.commitIndex, apply.appliedIndex);
    return { ...stored, commit };
  }
  const { term, vote } = stored;
  const initial = initialRaftState();
  return term >= RAFT_INIT_LOG_TERM ? { ...initial, term, vote } : initial;
}

/**
 * Returns the raft state of a peer whose snapshot was being applied: the copy that came with the
 * snapshot, if that is ahead. One engine holds both here, so it never is; TiKV's rule stands.
 */
function loadApplyingState(reader: Reader, region: RegionInfo, apply: RaftApplyState) {
  const state = loadRaftState(reader, region, apply);
  const bytes = reader.get("raft", snapshotRaftStateKey(region.id));
  if (bytes === undefined) return state;
  const copy = decodeRaftLocalState(bytes);
  return copy.commit > state.commit ? copy : state;
}

export class PeerStorage implements Storage {
  readonly regionId: number;
  readonly log: EntryStorage;
  #region: RegionInfo;
  /** As of the newest Ready that was handed to the writer. */
  #raftState: RaftLocalState;
  #applyState: RaftApplyState;
  #appliedTerm: number;
  /** Peers for which a snapshot is being made; made and not handed out. */
  readonly #generating = new Set<number>();
  readonly #generated = new Map<number, Snapshot>();
  /** Highest log index that was ever handed to the writer: what a cut has to reach. */
  #writtenTo: number;

  /** Reads the states of `region`; without peers it is one that a message creates. */
  constructor(
    region: RegionInfo,
    engine: Reader,
    private readonly requestSnapshot: (task: SnapshotTask) => void,
    applying = false,
  ) {
    this.regionId = idToNumber(region.id);
    this.#region = region;
    const isEmpty = region.peers.length === 0;
    const stored = readRaftApplyState(engine, region.id);
    this.#applyState = stored ?? (isEmpty ? EMPTY_APPLY_STATE : initialApplyState());
    const load = applying ? loadApplyingState : loadRaftState;
    this.#raftState = load(engine, region, this.#applyState);
    const { truncatedIndex, truncatedTerm } = this.#applyState;
    const { lastIndex } = this.#raftState;
    this.log = new EntryStorage(region.id, engine, { truncatedIndex, truncatedTerm, lastIndex });
    this.#writtenTo = lastIndex;
    const appliedTerm = this.log.term(this.#applyState.appliedIndex);
    assert(appliedTerm !== undefined, "what is applied is in the log");
    this.#appliedTerm = appliedTerm;
  }

  get region(): RegionInfo {
    return this.#region;
  }

  /** Whether it has members and data: not before its first snapshot if a message made it. */
  get isInitialized(): boolean {
    return this.#region.peers.length > 0;
  }

  get applyState(): RaftApplyState {
    return this.#applyState;
  }

  get appliedTerm(): number {
    return this.#appliedTerm;
  }

  get raftState(): RaftLocalState {
    return this.#raftState;
  }

  setRegion(region: RegionInfo): void {
    this.#region = region;
  }

  initialState(): InitialState {
    const { term, vote, commit } = this.#raftState;
    return { hardState: { term, vote, commit }, confState: confStateOf(this.#region) };
  }

  entries(start: number, end: number, bytesMax: number, _context: FetchContext): EntriesResult {
    return this.log.entries(start, end, bytesMax);
  }

  term(index: number): number | undefined {
    return this.log.term(index);
  }

  firstIndex(): number {
    return this.log.firstIndex;
  }

  lastIndex(): number {
    return this.log.lastIndex;
  }

  /** Hands out a snapshot that was made for the peer, or has one made. */
  snapshot(index: number, to: number): Snapshot | null {
    const made = this.#generated.get(to);
    if (made !== undefined) {
      this.#generated.delete(to);
      const { metadata } = made;
      if (metadata.index >= index && isMember(metadata.confState, to)) return made;
    }
    if (!this.#generating.has(to)) {
      this.#generating.add(to);
      this.requestSnapshot({ regionId: this.regionId, toPeerId: to });
    }
    return null;
  }

  /** Keeps a snapshot that was asked for; returns whether there is one to hand out. */
  onGenerated({ toPeerId, snapshot }: GeneratedSnapshot): boolean {
    if (!this.#generating.delete(toPeerId) || snapshot === undefined) return false;
    this.#generated.set(toPeerId, snapshot);
    return true;
  }

  /** Forgets snapshots that were made: this peer does not lead any more. */
  dropGenerated(): readonly Snapshot[] {
    const dropped = [...this.#generated.values()];
    this.#generated.clear();
    this.#generating.clear();
    return dropped;
  }

  /** Notes what the delegate has applied and written. */
  onApplied(applyState: RaftApplyState, appliedTerm: number): void {
    assert(applyState.appliedIndex >= this.#applyState.appliedIndex, "applying never goes back");
    this.#applyState = applyState;
    this.#appliedTerm = appliedTerm;
  }

  /** Returns the row of a Ready, to be written after those of the Readies before. */
  writeRow({ entries, hardState, snapshot }: ReadyWrite, snapshotRegion?: RegionInfo): WriteRow {
    const cutFrom = this.log.firstIndex;
    let cutTo = cutFrom;
    let states: SnapshotStates | undefined;
    if (snapshot !== null) {
      assert(snapshotRegion !== undefined, "a snapshot that was taken has a region");
      cutTo = Math.max(cutFrom, this.#writtenTo + 1);
      this.#writtenTo = snapshot.metadata.index;
    }
    const last = entries[entries.length - 1];
    const lastIndex = last?.index ?? snapshot?.metadata.index ?? this.#raftState.lastIndex;
    this.#raftState = { ...hardState, lastIndex };
    this.#writtenTo = Math.max(this.#writtenTo, lastIndex);
    if (snapshot !== null && snapshotRegion !== undefined) {
      states = snapshotStates(snapshot, snapshotRegion, this.#raftState);
    }
    const raftState = this.#raftState;
    return { regionId: this.regionId, cutFrom, cutTo, entries, raftState, snapshot: states };
  }

  /** Notes that the writes of a Ready are durable: they can be read from here now. */
  onPersisted(entries: readonly Entry[], snapshot: Snapshot | null): void {
    if (snapshot !== null) {
      const { index, term } = snapshot.metadata;
      this.log.reset(index, term);
      this.#applyState = applyStateOf(snapshot);
      this.#appliedTerm = term;
    }
    this.log.append(entries);
  }
}

function applyStateOf({ metadata: { index, term } }: Snapshot): RaftApplyState {
  return {
    appliedIndex: index,
    commitIndex: index,
    commitTerm: term,
    truncatedIndex: index,
    truncatedTerm: term,
  };
}

function snapshotStates(
  snapshot: Snapshot,
  region: RegionInfo,
  raftState: RaftLocalState,
): SnapshotStates {
  return {
    regionState: encodeRegionLocalState({ state: PEER_STATE.Applying, region }),
    applyState: encodeRaftApplyState(applyStateOf(snapshot)),
    snapshotRaftState: encodeRaftLocalState(raftState),
  };
}
