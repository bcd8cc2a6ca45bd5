/**
 * Reads that need the log's confirmation (no lease, or a follower's): those of one turn for one
 * region share one read command, which is sent after the turn that asked, so that it covers all.
 * Source: tikv raftstore/store/read_queue.rs (which merges reads in a poll round).
 */
import { ok } from "../base/index.js";
import type { CommandResult, ReadDelegate, RegionRouter } from "../raftstore/index.js";
import type { LockInfo } from "../txn/index.js";
import { undelivered } from "./errors.js";
import { decodeVerdict, encodeChecks, type ReadCheck } from "./read_check.js";

/** Called once, with the confirmation or the reason why there is none. */
export type OnConfirmed = (result: CommandResult<Confirmed>) => void;

/** The leader has confirmed a read. */
export interface Confirmed {
  /** A memory lock of the leader that blocks the read; undefined: none does, or it did not ask. */
  readonly blocked: LockInfo | undefined;
}

interface Asked {
  readonly onConfirmed: OnConfirmed;
  readonly check: ReadCheck | undefined;
}

/** Checks that travel with one command. */
const CHECKS_MAX = 256;

export class ReadConfirms {
  /** Reads that wait for their command to be sent, by region and kind. */
  private readonly unsent = new Map<number, Asked[]>();
  private waiting = 0;

  constructor(private readonly router: RegionRouter) {}

  /** Reads without an answer. */
  get running(): number {
    return this.waiting;
  }

  /** Asks for a confirmation; `onConfirmed` may be called from inside a poll round. */
  ask(peer: ReadDelegate, replicaRead: boolean, onConfirmed: OnConfirmed, check?: ReadCheck): void {
    this.waiting++;
    const key = peer.regionId * 2 + (replicaRead ? 1 : 0);
    const group = this.unsent.get(key);
    if (group !== undefined && group.length < CHECKS_MAX) {
      group.push({ onConfirmed, check });
      return;
    }
    if (group !== undefined) this.send(group, peer, replicaRead);
    const fresh = [{ onConfirmed, check }];
    this.unsent.set(key, fresh);
    queueMicrotask(() => {
      if (this.unsent.get(key) !== fresh) return;
      this.unsent.delete(key);
      this.send(fresh, peer, replicaRead);
    });
  }

  private send(group: readonly Asked[], peer: ReadDelegate, replicaRead: boolean): void {
    const answer = (result: CommandResult<readonly (LockInfo | undefined)[]>): void => {
      this.waiting -= group.length;
      group.forEach(({ onConfirmed }, i) => {
        onConfirmed(result.ok ? ok({ blocked: result.value[i] }) : result);
      });
    };
    const checks = group.map(({ check }) => check);
    const check = checks.some((one) => one !== undefined) ? encodeChecks(checks) : undefined;
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
        ...(check && { check }),
        done: (result) => answer(result.ok ? ok(decodeVerdict(result.value.verdict)) : result),
      },
    });
    if (sent !== "sent") answer({ ok: false, error: undelivered(sent, region.id) });
  }
}
