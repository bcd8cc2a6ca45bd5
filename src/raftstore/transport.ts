/**
 * Outgoing messages. raftstore declares what it needs; server/raft_client.ts is the real one, the
 * simulator's network another.
 */
import type { RaftMessage } from "./raft_message.js";

/** "full": the queue to that store is full; the message is lost and its peer is told so. */
export type TransportResult = "queued" | "full";

export interface Transport {
  /**
   * Queues a message to the store of its `toPeer`. Never sends by itself. Lost messages, now or
   * later, are reported through RaftEvents. A MsgSnapshot goes its own way: its data comes from
   * SnapshotManager.open.
   */
  send(message: RaftMessage): TransportResult;
  /** Sends what is queued: called once in each poll round, after its messages were queued. */
  flush(): void;
}

/** What a transport tells the store; router.ts implements it. */
export interface RaftEvents {
  /** A message arrived. It is dropped, and counted, when its region's mailbox is full. */
  onRaftMessage(message: RaftMessage): void;
  /** A message to a peer was lost. */
  onUnreachable(regionId: number, toPeerId: number): void;
  /** Nothing reaches that store for now. */
  onStoreUnreachable(storeId: number): void;
  /** How the sending of a snapshot ended. Exactly once for each MsgSnapshot that `send` queued. */
  onSnapshotSent(regionId: number, toPeerId: number, failed: boolean): void;
}
