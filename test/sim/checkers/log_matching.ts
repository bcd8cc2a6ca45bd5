/**
 * Log matching: where two logs of a region agree on the term of an entry, they agree on that entry
 * and on all before it. Source: raft §5.3.
 */
import { allPeers, type Checker, CheckFailed, type ClusterView, type PeerView } from "../view.js";

const NAME = "log matching";

export class LogMatching implements Checker {
  readonly name = NAME;

  sweep(view: ClusterView): void {
    const regions = new Map<number, PeerView[]>();
    for (const peer of allPeers(view)) {
      const others = regions.get(peer.regionId) ?? [];
      for (const other of others) compare(peer, other);
      regions.set(peer.regionId, [...others, peer]);
    }
  }

  atRest(view: ClusterView): void {
    this.sweep(view);
  }
}

function compare(a: PeerView, b: PeerView): void {
  let agreed = false;
  const first = Math.max(a.firstIndex, b.firstIndex);
  for (let index = Math.min(a.lastIndex, b.lastIndex); index >= first; index--) {
    const [termA, termB] = [a.termAt(index), b.termAt(index)];
    if (termA === undefined || termB === undefined) continue;
    const where = `region ${a.regionId} entry ${index}`;
    if (termA === termB) {
      if (a.digestAt(index) !== b.digestAt(index)) {
        throw new CheckFailed(NAME, `${where} of term ${termA} differs: ${a.peerId}, ${b.peerId}`);
      }
      agreed = true;
    } else if (agreed) {
      const terms = `${termA} on peer ${a.peerId}, ${termB} on peer ${b.peerId}`;
      throw new CheckFailed(NAME, `${where} has term ${terms}, and a later entry agrees`);
    }
  }
}
