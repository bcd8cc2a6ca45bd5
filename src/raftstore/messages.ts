/**
 * Messages of the two batch systems. Peers and the store are FSMs of one (raft), apply delegates
 * those of the other. Addresses are region ids as Numbers.
 */
import type { Entry } from "../raft/index.js";
import type { AdminRequest, ReadCommand, SplitWish, WriteCommand } from "./commands.js";
import type { RaftApplyState } from "./local_state.js";
import type { RegionOrder } from "./pd_port.js";
import type { RaftMessage } from "./raft_message.js";
import type { RegionInfo } from "./region.js";
import type { AppliedSnapshot, GeneratedSnapshot, SnapshotTask } from "./snapshot/types.js";

/** To a peer FSM. */
export type PeerMsg =
  | { readonly kind: "raftMessage"; readonly message: RaftMessage }
  | { readonly kind: "write"; readonly command: WriteCommand }
  | { readonly kind: "read"; readonly command: ReadCommand }
  | { readonly kind: "admin"; readonly request: AdminRequest }
  | { readonly kind: "splitWish"; readonly wish: SplitWish }
  /** An order of PD's: conf change, transfer, split. */
  | { readonly kind: "order"; readonly order: RegionOrder }
  /** One raft-base-tick-interval has passed. */
  | { readonly kind: "tick" }
  /** The writes of Readies up to `ready` of the peer with this `life` are durable. */
  | { readonly kind: "persisted"; readonly life: number; readonly ready: number }
  | { readonly kind: "applyRes"; readonly result: ApplyRes }
  | { readonly kind: "unreachable"; readonly toPeerId: number }
  | { readonly kind: "snapshotSent"; readonly toPeerId: number; readonly failed: boolean }
  | { readonly kind: "snapshotGenerated"; readonly result: GeneratedSnapshot }
  | { readonly kind: "snapshotApplied"; readonly result: AppliedSnapshot }
  /** The first message of a peer that the store made: campaign, if `campaign`. */
  | { readonly kind: "start"; readonly campaign: boolean }
  /**
   * The apply delegate has stopped; the peer may go. Results that came before it still count, in
   * whatever state the peer is: regions of a split among them are on disk, with the data that was
   * the parent's, and need their peers.
   */
  | { readonly kind: "applyDestroyed" }
  /** What a background check found: candidates for splitting, or the region's size. */
  | { readonly kind: "splitCheckDone"; readonly result: SplitCheckResult };

/** Sizes of data, bytes and keys; split keys are region keys (none: too small). */
export interface SplitCheckResult {
  readonly version: bigint;
  readonly sizeBytes: number;
  readonly keys: number;
  readonly splitKeys: readonly Uint8Array[];
}

/** To the store FSM. */
export type StoreMsg =
  /** For a region without a mailbox here. */
  | { readonly kind: "raftMessage"; readonly message: RaftMessage }
  | { readonly kind: "storeUnreachable"; readonly storeId: number };

/** A command that waits for its entry. Invariant: ascending by index. */
export interface Proposal {
  readonly index: number;
  readonly term: number;
  /** Called when its entry is committed, if it is then sure to take effect. */
  readonly onCommitted?: (() => void) | undefined;
  readonly done: ProposalDone;
}

/** Gets what the entry did, or why it did nothing. */
export type ProposalDone = (
  result:
    | { readonly ok: true; readonly regions: readonly RegionInfo[] }
    | { readonly ok: false; readonly error: import("./region.js").RegionError },
) => void;

/** What a delegate starts from. */
export interface ApplyRegistration {
  readonly regionId: number;
  readonly peerId: number;
  readonly region: RegionInfo;
  readonly applyState: RaftApplyState;
  /** Term of the entry at the applied index. */
  readonly appliedTerm: number;
}

/** Committed entries, durable here, with the proposals that belong to them. */
export interface ApplyTask {
  readonly regionId: number;
  readonly entries: readonly Entry[];
  readonly proposals: readonly Proposal[];
  /** The commit index and its term as known with these entries. */
  readonly commitIndex: number;
  readonly commitTerm: number;
}

/** To an apply delegate. */
export type ApplyMsg =
  /** Starts from new state: at boot, after a split, after a snapshot. */
  | { readonly kind: "registration"; readonly registration: ApplyRegistration }
  | { readonly kind: "apply"; readonly task: ApplyTask }
  /** Take an engine snapshot of the applied state, after what was applied before it is written. */
  | { readonly kind: "snapshot"; readonly task: SnapshotTask }
  /** Answer what waits, stop, and tell the peer "applyDestroyed". */
  | { readonly kind: "destroy" };

/** What an entry changed beyond data, in log order. */
export type ExecResult =
  /** `changed` false: the change was refused at apply; nothing is to be done with the raft group. */
  | {
      readonly kind: "changePeer";
      readonly index: number;
      readonly changed: boolean;
      readonly region: RegionInfo;
      /** Bytes of the entry, for RawNode.applyConfChange. */
      readonly entry: Entry;
    }
  | {
      readonly kind: "split";
      readonly index: number;
      /**
       * All regions in key order, the parent's new state among them. Those that were made are claimed
       * (pending_create.ts) until `releaseSplit`, when their peers are registered.
       */
      readonly regions: readonly RegionInfo[];
      readonly derived: RegionInfo;
      /**
       * Ids of new regions that have a peer here already, made by a message and newer than the
       * split: their states were not written, no peer is to be made.
       */
      readonly notCreated: readonly number[];
    }
  | {
      readonly kind: "compactLog";
      readonly truncatedIndex: number;
      readonly truncatedTerm: number;
    };

/** What a delegate has applied and written since its last result. */
export interface ApplyRes {
  readonly regionId: number;
  readonly peerId: number;
  readonly applyState: RaftApplyState;
  readonly appliedTerm: number;
  readonly results: readonly ExecResult[];
  readonly writtenBytes: number;
  readonly writtenKeys: number;
}
