/**
 * A store's part in deadlock detection. The leader of the region with the empty key keeps the graph
 * (deadlock.ts); every other store sends its edges there. Pure: connections are events, what travels
 * goes through DeadlockTransport. Source: tikv src/server/lock_manager/deadlock.rs Detector.
 *
 *   follower:  idle ── first edge ──▶ connecting ── onConnected ──▶ connected
 *               ▲                          │  onDisconnected             │
 *               └──────── after a pause ◀──┴─────────────────────────────┘
 *
 * What is sent on a broken connection is lost: the waits time out, and their clients ask again.
 */
import { err, ok, type Result } from "../../base/index.js";
import type { WaitForEntry } from "../errors.js";
import { DetectTable } from "./deadlock.js";
import type { DeadlockDetector, DeadlockFound } from "./lock_wait.js";

/** deadlock.DeadlockRequest. Of a cleanUp only `txn` counts. */
export interface DeadlockRequest {
  readonly type: "detect" | "cleanUpWaitFor" | "cleanUp";
  readonly entry: WaitForEntry;
}

/** The way to the detector's leader; server/ implements it. Calls return at once. */
export interface DeadlockTransport {
  /**
   * Finds the store that leads the region with the empty key and opens a Detect stream to it, then
   * calls `onConnected`, or `onDisconnected` if that fails or the leader is this store itself.
   */
  connect(): void;
  /** Sends over the open stream. What arrives there is passed to the lock manager's onDeadlock. */
  send(request: DeadlockRequest): void;
  /** Closes the stream, or gives `connect` up; no event follows. */
  close(): void;
}

export interface DetectorOptions {
  /** Life of an edge without renewal, ms: pessimistic-txn.wait-for-lock-timeout. */
  readonly ttlMs: number;
  /** Requests that wait for a connection; the oldest give way, as if they were lost on the wire. */
  readonly pendingMax: number;
  /** Between a lost connection and the next attempt, ms. */
  readonly reconnectMs: number;
}

export const DETECTOR_DEFAULTS: DetectorOptions = {
  ttlMs: 1000,
  pendingMax: 1024,
  reconnectMs: 100,
};

export type DetectorRole = "leader" | "follower";
type Link = "idle" | "connecting" | "connected";

/** Counters that storage/ binds to tikv_lock_manager_*. */
export interface DetectorMetrics {
  detects: number;
  cleanUpWaitFors: number;
  cleanUps: number;
  deadlocks: number;
  reconnects: number;
  /** Requests lost for want of a connection. */
  dropped: number;
  /** Requests of other stores that took this one for the leader. */
  notLeader: number;
}

const EMPTY: DetectorMetrics = {
  detects: 0,
  cleanUpWaitFors: 0,
  cleanUps: 0,
  deadlocks: 0,
  reconnects: 0,
  dropped: 0,
  notLeader: 0,
};

/** Invariant: `pending` is empty while connected; the table is empty unless leader. */
export class Detector implements DeadlockDetector {
  readonly metrics: DetectorMetrics = { ...EMPTY };
  private readonly table: DetectTable;
  private roleValue: DetectorRole = "follower";
  private link: Link = "idle";
  private pending: DeadlockRequest[] = [];
  private retryAtMs = 0;

  constructor(
    private readonly transport: DeadlockTransport,
    private options: DetectorOptions = DETECTOR_DEFAULTS,
  ) {
    this.table = new DetectTable(options.ttlMs);
  }

  get role(): DetectorRole {
    return this.roleValue;
  }

  /** Edges in the graph; 0 for a follower. */
  get edges(): number {
    return this.table.size;
  }

  /** When `tick` has something to do; undefined = nothing waits for a connection. */
  get nextDeadlineMs(): number | undefined {
    return this.link === "idle" && this.pending.length > 0 ? this.retryAtMs : undefined;
  }

  setOptions(options: DetectorOptions): void {
    this.options = options;
    this.table.setTtl(options.ttlMs);
  }

  detect(nowMs: number, edge: WaitForEntry): DeadlockFound | undefined {
    return this.handle(nowMs, { type: "detect", entry: edge });
  }

  cleanUpWaitFor(nowMs: number, edge: WaitForEntry): void {
    this.handle(nowMs, { type: "cleanUpWaitFor", entry: edge });
  }

  /**
   * Takes over or gives up the graph. Told after every change of the region with the empty key or
   * its leader: a follower that stays one may have another leader now.
   */
  changeRole(role: DetectorRole): void {
    if (role === "leader" && this.roleValue === "leader") return;
    this.roleValue = role;
    this.table.clear();
    if (this.link !== "idle") this.transport.close();
    this.link = "idle";
    this.retryAtMs = 0;
    this.metrics.dropped += this.pending.length;
    this.pending = [];
  }

  /** The stream to the leader is open. */
  onConnected(): void {
    if (this.link !== "connecting") return;
    this.link = "connected";
    for (const request of this.pending) this.transport.send(request);
    this.pending = [];
  }

  /** The stream has ended, or did not come about. */
  onDisconnected(nowMs: number): void {
    if (this.link === "idle") return;
    this.link = "idle";
    this.retryAtMs = nowMs + this.options.reconnectMs;
  }

  /** Tries to connect again if something waits for it. */
  tick(nowMs: number): void {
    if (this.link === "idle" && this.pending.length > 0) this.connect(nowMs);
  }

  /** Serves another store's stream; the answer, if any, is sent back on it. `nowMs` of this store. */
  serve(nowMs: number, request: DeadlockRequest): Result<DeadlockFound | undefined, "notLeader"> {
    if (this.roleValue === "leader") return ok(this.apply(nowMs, request));
    this.metrics.notLeader++;
    return err("notLeader");
  }

  private handle(nowMs: number, request: DeadlockRequest): DeadlockFound | undefined {
    if (this.roleValue === "leader") return this.apply(nowMs, request);
    if (this.link === "connected") {
      this.transport.send(request);
      return undefined;
    }
    this.pending.push(request);
    if (this.pending.length > this.options.pendingMax) {
      this.pending.shift();
      this.metrics.dropped++;
    }
    if (this.link === "idle") this.connect(nowMs);
    return undefined;
  }

  private connect(nowMs: number): void {
    if (nowMs < this.retryAtMs) return;
    this.link = "connecting";
    this.metrics.reconnects++;
    this.transport.connect();
  }

  private apply(nowMs: number, { type, entry }: DeadlockRequest): DeadlockFound | undefined {
    if (type === "cleanUpWaitFor") {
      this.metrics.cleanUpWaitFors++;
      this.table.cleanUpWaitFor(entry);
      return undefined;
    }
    if (type === "cleanUp") {
      this.metrics.cleanUps++;
      this.table.cleanUp(entry.txn);
      return undefined;
    }
    this.metrics.detects++;
    const found = this.table.detect(nowMs, entry);
    if (found !== undefined) this.metrics.deadlocks++;
    return found;
  }
}
