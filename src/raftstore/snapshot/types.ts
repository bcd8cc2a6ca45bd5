/**
 * Snapshots of regions, as peers, apply delegates and transports see them. The manager owns their
 * bytes: an engine snapshot on the sending side, a received file (or its stand-in in the simulator)
 * on the receiving side.
 *
 *   sender    delegate: manager.generate(engine snapshot taken at the applied index)
 *             → peer: "snapshotGenerated" → raft hands it out in a MsgSnapshot
 *             → transport: manager.open(key) → chunks on an own stream → onSnapshotSent
 *   receiver  transport: manager.receive(message) → chunks, checksums, synced
 *             → onRaftMessage(message) → peer checks and steps it; Ready.snapshot is written with
 *             region state Applying → durable → manager.apply: delete range, ingest, state Normal
 *             → peer: "snapshotApplied"
 */

import type { Snapshot as EngineSnapshot } from "../../engine/index.js";
import type { ConfState, Snapshot as RaftSnapshot } from "../../raft/index.js";
import type { RaftMessage } from "../raft_message.js";
import type { RegionInfo } from "../region.js";

/** Names one snapshot of a region. */
export interface SnapKey {
  readonly regionId: number;
  readonly term: number;
  readonly index: number;
}

/** Asked by a peer of its delegate, for the peer `toPeerId`. */
export interface SnapshotTask {
  readonly regionId: number;
  readonly toPeerId: number;
}

/** Handed by a delegate to the manager. The manager closes the engine snapshot. */
export interface GenerateRequest {
  readonly key: SnapKey;
  readonly toPeerId: number;
  /** The region at the applied index; raft members follow from it. */
  readonly region: RegionInfo;
  readonly confState: ConfState;
  readonly engineSnapshot: EngineSnapshot;
}

/** `snapshot` undefined: it failed (too many, or the region changed); the peer asks again. */
export interface GeneratedSnapshot {
  readonly toPeerId: number;
  readonly snapshot: RaftSnapshot | undefined;
}

export interface AppliedSnapshot {
  readonly key: SnapKey;
  /** The region whose data is in place now. */
  readonly region: RegionInfo;
}

/** Bytes of a snapshot on their way out. */
export interface SnapshotSource {
  /** An estimate, for people and heartbeats; the stream itself says where it ends. */
  readonly totalBytes: number;
  /**
   * Calls back once, in a later turn, when the rate limit allows another chunk. To be awaited
   * before each `next`.
   */
  ready(go: () => void): void;
  /**
   * Returns the next chunk (at most 1 MiB; chunks keep their bounds on the way), or undefined at
   * the end. Also undefined when the snapshot expired meanwhile: the receiver then finds that the
   * stream was cut, so only its answer says that all went well.
   */
  next(): Uint8Array | undefined;
  /** Releases what it holds; idempotent. */
  close(): void;
}

/** Bytes of a snapshot on their way in. */
export interface SnapshotSink {
  /**
   * Calls back once, in a later turn, when another chunk may come: the rate limit allows it and
   * the disk keeps up; also when the stream failed, which `write` then says. To be awaited before
   * each `write`; who does not is refused at a bound.
   */
  ready(go: () => void): void;
  /**
   * Err: the chunk is damaged or too long; the stream ends with this text. Nobody may change the
   * chunk afterwards.
   */
  write(chunk: Uint8Array): string | undefined;
  /** Makes it durable and checks it as a whole. Calls back once. */
  finish(done: (problem: string | undefined) => void): void;
  /** Gives up and removes what was written; idempotent, no effect after a good finish. */
  abort(): void;
}

export interface ApplySnapshotTask {
  readonly key: SnapKey;
  readonly region: RegionInfo;
  /** Ranges whose old data goes first: of this region before, region keys. */
  readonly replaced: readonly { readonly startKey: Uint8Array; readonly endKey: Uint8Array }[];
}

/** pdpb.StoreStats' counts of snapshots. */
export interface SnapshotStats {
  readonly sendingCount: number;
  readonly receivingCount: number;
  readonly applyingCount: number;
}

export interface SnapshotManager {
  /**
   * To be called once at start, with the snapshots of regions in state Applying: their term and
   * index are those of the truncated state. Removes all other received files.
   */
  retain(needed: readonly SnapKey[]): void;
  /** Calls back, now or later, with what a MsgSnapshot carries; bounded by concurrent sends. */
  generate(request: GenerateRequest, done: (result: GeneratedSnapshot) => void): void;
  /** The data of a generated snapshot; undefined when it is gone (expired). */
  open(key: SnapKey, toPeerId: number): SnapshotSource | undefined;
  /** Begins to receive; a string is the refusal: too many at a time, or not our format. */
  receive(message: RaftMessage): SnapshotSink | string;
  /** Whether all bytes of a snapshot are here, durable and checked. */
  has(key: SnapKey): boolean;
  /** Region and data size in the bytes of a raft snapshot; undefined: not ours, or damaged. */
  describe(
    data: Uint8Array,
  ): { readonly region: RegionInfo; readonly sizeBytes: number } | undefined;
  /**
   * Replaces the data of a region by a received snapshot, in slices; ends by writing region state
   * Normal. Started again after a crash in state Applying. Calls back once.
   */
  apply(task: ApplySnapshotTask, done: (result: AppliedSnapshot) => void): void;
  /** Whether a snapshot of the region is being applied, or waits for it. */
  isApplying(regionId: number): boolean;
  /** Deletes the data of a range of a destroyed peer, in slices; calls back once. */
  destroyRange(startKey: Uint8Array, endKey: Uint8Array, done: () => void): void;
  /**
   * Forgets a snapshot: it was applied, or is stale. Its file goes, generated ones that nobody
   * reads are closed; streams under way go on.
   */
  release(key: SnapKey): void;
  stats(): SnapshotStats;
}
