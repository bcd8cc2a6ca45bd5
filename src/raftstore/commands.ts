/**
 * Requests to a region as raftstore sees them: checked by header, answered once through `done`,
 * from inside a poll round or before the call returns. Bytes in the log: cmd_codec.ts.
 */
import type { Result } from "../base/index.js";
import type { ConfChangeSingle } from "../raft/index.js";
import type { PeerInfo, RegionError, RegionInfo } from "./region.js";
import type { RequestHeader } from "./request_check.js";

/** Why a command was not, or may not have been, carried out. */
export type CommandResult<T> = Result<T, RegionError>;
export type Done<T> = (result: CommandResult<T>) => void;

/** A write of data. Acknowledged when it is applied here, and so durable on a quorum. */
export interface WriteCommand {
  readonly header: RequestHeader;
  /**
   * A write batch representation (engine/types.ts WriteBatch) whose keys carry the data prefix and
   * lie in the region of the header's epoch. The callee keeps it.
   */
  readonly data: Uint8Array;
  /** Goes on while the disk is full: deletes make room. */
  readonly frees: boolean;
  /** Called when the write stands in this leader's log; it may still be lost with the leader. */
  readonly onProposed?: () => void;
  /**
   * Called when the write is committed and sure to take effect, before `done`. Not called where
   * that cannot be known before it is applied: until the leader has applied an entry of its term.
   */
  readonly onCommitted?: () => void;
  readonly done: Done<void>;
}

/**
 * A read that needs the log's confirmation: by a follower (replicaRead), or by a leader without a
 * lease. `done` is called at a moment when everything that was acknowledged before the command came
 * can be read from the engine: the caller reads, or takes its snapshot, in that call.
 */
export interface ReadCommand {
  readonly header: RequestHeader;
  readonly replicaRead: boolean;
  /** What the leader is to judge when it is asked; see RegionRouter.judgeReads. */
  readonly check?: Uint8Array;
  readonly done: Done<ReadConfirmed>;
}

/** The leader's answer to a read command. */
export interface ReadConfirmed {
  readonly readIndex: number;
  /** What the leader says about `check`; empty without one. */
  readonly verdict: Uint8Array;
}

/** A change of one peer's role. The raft change and the peer that it concerns. */
export interface PeerChange {
  readonly type: ConfChangeSingle["type"];
  readonly peer: PeerInfo;
}

/** One new region of a split: it starts or ends at `splitKey`, see BatchSplit. */
export interface SplitPart {
  /** Region key, without the data prefix. */
  readonly splitKey: Uint8Array;
  readonly newRegionId: bigint;
  /** Ids of its peers, in the order of the parent's peers. */
  readonly newPeerIds: readonly bigint[];
}

/** Commands of the region itself. */
export type AdminCommand =
  /** One change is simple, several are joint, none leaves the joint state. */
  | { readonly kind: "changePeer"; readonly changes: readonly PeerChange[] }
  | {
      readonly kind: "split";
      readonly parts: readonly SplitPart[];
      /** The right-most region keeps the id, else the left-most. */
      readonly rightDerive: boolean;
    }
  | { readonly kind: "compactLog"; readonly index: number; readonly term: number }
  /** Not through the log: answered when the transfer has begun. */
  | { readonly kind: "transferLeader"; readonly peer: PeerInfo };

/** What an admin command did: the regions that it made or changed, in key order. */
export interface AdminResult {
  readonly regions: readonly RegionInfo[];
}

export interface AdminRequest {
  readonly header: RequestHeader;
  readonly command: AdminCommand;
  readonly done: Done<AdminResult>;
}

/** A wish to split, from a client, PD or the size check: needs ids of PD first. */
export interface SplitWish {
  /** What the asker knew; another epoch means that the wish is out of date. */
  readonly confVer: bigint;
  readonly version: bigint;
  /** Region keys inside the region, ascending; empty: halve by size. */
  readonly splitKeys: readonly Uint8Array[];
  readonly reason: "size" | "client" | "pd";
  readonly done: Done<AdminResult>;
}
