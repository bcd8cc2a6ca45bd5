/**
 * Which peer of a region to ask next, for requests that only a leader serves: the leader that the
 * cache knows, then where stores point to, then the others, each once; a leader that was hinted at may
 * be asked again, a bounded number of times.
 */
import type { PeerInfo } from "../pd_client/index.js";
import type { CachedRegion } from "./region_cache.js";

/** Hints that are followed for one request; stores that point at each other must not hold it up. */
const HINTS_MAX = 8;

export class ReplicaSelector {
  readonly #region: CachedRegion;
  readonly #tried = new Set<bigint>();
  #hints = 0;

  constructor(region: CachedRegion) {
    this.#region = region;
  }

  /** Returns the peer to ask, undefined when all were asked in vain. */
  pick(): PeerInfo | undefined {
    const { leader, peers } = this.#region;
    if (leader !== undefined && !this.#tried.has(leader.id)) return leader;
    return peers.find((peer) => !this.#tried.has(peer.id));
  }

  /**
   * Notes that `peer` cannot serve the request. The next request asks the peer after it first: one
   * that ends with its first attempt would otherwise ask a dead peer for ever.
   */
  giveUp(peer: PeerInfo): void {
    this.#tried.add(peer.id);
    const { leader, peers } = this.#region;
    if (leader !== undefined && leader.id !== peer.id) return;
    const at = peers.findIndex(({ id }) => id === peer.id);
    this.#region.leader = peers[(at + 1) % peers.length];
  }

  /**
   * Notes that `peer` is not the leader and, by its word, `leaderId` on `storeId` is. Returns false if
   * that is no peer of the region, or if too many hints were followed: the region must be reloaded.
   */
  follow(peer: PeerInfo, leaderId: bigint): boolean {
    this.#tried.add(peer.id);
    const leader = this.#region.peers.find((candidate) => candidate.id === leaderId);
    if (leader === undefined || leader.id === peer.id || ++this.#hints > HINTS_MAX) return false;
    this.#tried.delete(leader.id);
    this.#region.leader = leader;
    return true;
  }

  /** Remembers the peer that served the request. */
  served(peer: PeerInfo): void {
    this.#region.leader = peer;
  }
}
