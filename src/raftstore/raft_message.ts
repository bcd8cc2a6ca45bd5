/**
 * What stores say to each other: raft_serverpb.RaftMessage as a value, with Numbers for ids, terms
 * and epochs (below 2^53, checked by message_codec.ts where they enter). Bytes: message_codec.ts.
 */
import type { Message } from "../raft/index.js";
import type { PeerRole, RegionInfo } from "./region.js";

/** metapb.Peer with Numbers. */
export interface RaftPeer {
  readonly id: number;
  readonly storeId: number;
  readonly role: PeerRole;
}

/** metapb.RegionEpoch with Numbers. */
export interface EpochNumbers {
  readonly confVer: number;
  readonly version: number;
}

/** What is said beside Raft. */
export const EXTRA_MESSAGE = {
  None: "none",
  /** "Am I still a member?", from a peer that has not heard a leader for long. */
  CheckStalePeer: "checkStalePeer",
  /** The answer: the newest region that the asked store knows. */
  CheckStalePeerResponse: "checkStalePeerResponse",
} as const;
export type ExtraMessageKind = (typeof EXTRA_MESSAGE)[keyof typeof EXTRA_MESSAGE];

export interface RaftMessage {
  readonly regionId: number;
  readonly fromPeer: RaftPeer;
  readonly toPeer: RaftPeer;
  /** The sender's epoch of the region. */
  readonly epoch: EpochNumbers;
  /** undefined for a tombstone or an extra message. */
  readonly message: Message | undefined;
  /** "Your peer was removed": it destroys itself if its epoch is older than `epoch`. */
  readonly isTombstone: boolean;
  /**
   * The sender's range, `[startKey, endKey)`: set in messages that may create a peer (votes and
   * heartbeats with commit 0), else empty. Region keys, without the data prefix.
   */
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
  readonly extra: ExtraMessageKind;
  /** CheckStalePeerResponse: the region as the answering store knows it. */
  readonly checkRegion: RegionInfo | undefined;
}
