/**
 * Allows one log line per peer per interval, so that a hostile peer cannot fill the log.
 * Pure: the caller brings the time.
 */

/** Remembers when each peer was last logged. Bounded: the peer logged longest ago is forgotten. */
export class PeerLogLimit {
  /** Invariant: insertion order is the order of `atMs`, and size <= peersMax. */
  private readonly lastMs = new Map<string, number>();
  private readonly intervalMs: number;
  private readonly peersMax: number;

  constructor(intervalMs: number, peersMax: number) {
    this.intervalMs = intervalMs;
    this.peersMax = peersMax;
  }

  /** Returns whether `peer` may be logged at `nowMs` (monotonic), and if so notes that it was. */
  allow(peer: string, nowMs: number): boolean {
    const last = this.lastMs.get(peer);
    if (last !== undefined && nowMs - last < this.intervalMs) return false;
    this.lastMs.delete(peer);
    if (this.lastMs.size >= this.peersMax) {
      const oldest = this.lastMs.keys().next();
      if (!oldest.done) this.lastMs.delete(oldest.value);
    }
    this.lastMs.set(peer, nowMs);
    return true;
  }

  /** Peers remembered. */
  get size(): number {
    return this.lastMs.size;
  }
}
