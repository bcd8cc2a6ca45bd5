/**
 * Messages to peers and to the store, from everywhere: requests, other stores, the store's own
 * writes and workers. Nothing here steps a peer. Source: tikv raftstore/router.rs.
 *
 * Full mailboxes: a request is answered "full" (ServerIsBusy), a Raft message is dropped and
 * counted, since Raft sends another; notices pass, their senders have one of a kind on its way.
 */
import { assert } from "../base/index.js";
import type { RouteResult, Router } from "../batch/index.js";
import type { PeerFsm } from "./fsm/peer.js";
import type { StoreFsm } from "./fsm/store.js";
import type { PeerMsg, StoreMsg } from "./messages.js";
import type { RaftMessage } from "./raft_message.js";
import type { RaftMetrics } from "./raft_metrics.js";
import type { RaftEvents } from "./transport.js";

type RaftMailboxes = Router<number, PeerFsm, PeerMsg, StoreFsm, StoreMsg>;

export class RaftRouter implements RaftEvents {
  private mailboxes: RaftMailboxes | undefined;

  constructor(private readonly metrics: RaftMetrics) {}

  /** Says where the mailboxes are; nothing is sent before. */
  attach(mailboxes: RaftMailboxes): void {
    this.mailboxes = mailboxes;
  }

  private get inner(): RaftMailboxes {
    assert(this.mailboxes !== undefined, "a router is attached before it is used");
    return this.mailboxes;
  }

  /** Sends within the mailbox's bound. */
  send(regionId: number, message: PeerMsg): RouteResult {
    return this.inner.send(regionId, message);
  }

  /** Sends beyond the mailbox's bound as well; returns whether there is a peer. */
  notify(regionId: number, message: PeerMsg): boolean {
    return this.inner.forceSend(regionId, message) === "sent";
  }

  /** Wakes a peer that left its batch. */
  resume(regionId: number): void {
    this.inner.resume(regionId);
  }

  onRaftMessage(message: RaftMessage): void {
    const result = this.inner.send(message.regionId, { kind: "raftMessage", message });
    if (result === "sent") return;
    if (result === "full") this.metrics.dropped.full++;
    else this.toStore(message);
  }

  /** Hands a message to the store: its region has no peer here. */
  toStore(message: RaftMessage): void {
    if (this.inner.sendControl({ kind: "raftMessage", message }) === "full") {
      this.metrics.dropped.full++;
    }
  }

  onUnreachable(regionId: number, toPeerId: number): void {
    this.inner.send(regionId, { kind: "unreachable", toPeerId });
  }

  onStoreUnreachable(storeId: number): void {
    this.inner.sendControl({ kind: "storeUnreachable", storeId });
  }

  onSnapshotSent(regionId: number, toPeerId: number, failed: boolean): void {
    this.notify(regionId, { kind: "snapshotSent", toPeerId, failed });
  }
}
