/**
 * Regions whose peer is being made on this store, by a message or by a split that is applied: the
 * two race, and whoever claims the region first decides what the other may do. One table for a
 * store. Source: tikv raftstore/store/fsm/store.rs StoreMeta, apply.rs pending_create_peers.
 *
 *   message   claimForMessage → uninitialised peer → release, when it has a snapshot, or when the
 *             tombstone that its destruction left is written (until then the engine does not
 *             show that it existed)
 *   split     claimForSplit at apply → release, when the peer of the applied split is registered
 */
import { assert } from "../base/index.js";

interface Claim {
  readonly peerId: number;
  readonly fromSplit: boolean;
}

export class PendingCreates {
  readonly #claims = new Map<number, Claim>();

  /** Returns whether a message may make the peer: false while another is being made. */
  claimForMessage(regionId: number, peerId: number): boolean {
    if (this.#claims.has(regionId)) return false;
    this.#claims.set(regionId, { peerId, fromSplit: false });
    return true;
  }

  /**
   * Claims a region that a split makes. "replaces": an uninitialised peer of the same id, made by a
   * message, gives way to it. "taken": another peer was made; the split leaves the region alone.
   */
  claimForSplit(regionId: number, peerId: number): "free" | "replaces" | "taken" {
    const claim = this.#claims.get(regionId);
    if (claim !== undefined && (claim.fromSplit || claim.peerId !== peerId)) return "taken";
    this.#claims.set(regionId, { peerId, fromSplit: true });
    return claim === undefined ? "free" : "replaces";
  }

  /** Whether a split has claimed the region: a peer made by a message must not be kept then. */
  isSplitting(regionId: number): boolean {
    return this.#claims.get(regionId)?.fromSplit ?? false;
  }

  /** Ends a claim of `peerId`; no effect when it has none or a split has taken it over. */
  releaseMessage(regionId: number, peerId: number): void {
    const claim = this.#claims.get(regionId);
    if (claim?.peerId === peerId && !claim.fromSplit) this.#claims.delete(regionId);
  }

  /** Ends the claim of a split. */
  releaseSplit(regionId: number, peerId: number): void {
    const claim = this.#claims.get(regionId);
    assert(claim?.fromSplit === true && claim.peerId === peerId, "a split ends its own claim");
    this.#claims.delete(regionId);
  }
}
