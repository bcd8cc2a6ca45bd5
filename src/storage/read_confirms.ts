/**
 * Reads that need the log's confirmation (no lease, or a follower's): those of one turn for one
 * region share one read command, which is sent after the turn that asked, so that it covers all.
 * Source: tikv raftstore/store/read_queue.rs (which merges reads in a poll round).
 */
import { ok } from "../base/index.js";
import type { CommandResult, ReadDelegate, RegionRouter } from "../raftstore/index.js";
import { undelivered } from "./errors.js";

/** Called once, with the confirmation or the reason why there is none. */
export type OnConfirmed = (result: CommandResult<void>) => void;

export class ReadConfirms {
  /** Reads that wait for their command to be sent, by region and kind. */
  private readonly unsent = new Map<number, OnConfirmed[]>();
  private waiting = 0;

  constructor(private readonly router: RegionRouter) {}

  /** Reads without an answer. */
  get running(): number {
    return this.waiting;
  }

  /** Asks for a confirmation; `onConfirmed` may be called from inside a poll round. */
  ask(peer: ReadDelegate, replicaRead: boolean, onConfirmed: OnConfirmed): void {
    this.waiting++;
    const key = peer.regionId * 2 + (replicaRead ? 1 : 0);
    const group = this.unsent.get(key);
    if (group !== undefined) {
      group.push(onConfirmed);
      return;
    }
    this.unsent.set(key, [onConfirmed]);
    queueMicrotask(() => this.send(key, peer, replicaRead));
  }

  private send(key: number, peer: ReadDelegate, replicaRead: boolean): void {
    const group = this.unsent.get(key) ?? [];
    this.unsent.delete(key);
    const answer = (result: CommandResult<void>): void => {
      this.waiting -= group.length;
      for (const onConfirmed of group) onConfirmed(result);
    };
    const { region, peerId } = peer;
    const header = {
      regionId: region.id,
      confVer: region.confVer,
      version: region.version,
      peerId,
      storeId: this.router.storeId,
      // Each request's own term was checked when it came.
      term: 0n,
    };
    const sent = this.router.send(peer.regionId, {
      kind: "read",
      command: {
        header,
        replicaRead,
        done: (result) => answer(result.ok ? ok(undefined) : result),
      },
    });
    if (sent !== "sent") answer({ ok: false, error: undelivered(sent, region.id) });
  }
}
