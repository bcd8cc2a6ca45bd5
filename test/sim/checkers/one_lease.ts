/**
 * A region has one lease holder at most, and nobody in a later term commits while a lease holds:
 * else a read under the lease could miss what was committed.
 */
import { allPeers, type Checker, CheckFailed, type ClusterView, type PeerView } from "../view.js";

const NAME = "one lease holder";

export class OneLease implements Checker {
  readonly name = NAME;

  /** Called often: a lease that outlives its bound does so for a short time. */
  glance(view: ClusterView): void {
    const peers = allPeers(view);
    for (const holder of peers) {
      if (!holder.holdsLease) continue;
      for (const other of peers) {
        if (other.regionId === holder.regionId && other.peerId !== holder.peerId) {
          compare(holder, other);
        }
      }
    }
  }
}

function compare(holder: PeerView, other: PeerView): void {
  const where = `region ${holder.regionId}: peer ${holder.peerId} holds the lease of term ${holder.term}`;
  if (other.holdsLease) {
    throw new CheckFailed(NAME, `${where}, peer ${other.peerId} that of term ${other.term}`);
  }
  if (other.isLeader && other.term > holder.term && other.committedInTerm) {
    throw new CheckFailed(NAME, `${where}, peer ${other.peerId} commits in term ${other.term}`);
  }
}
