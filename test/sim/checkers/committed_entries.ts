/**
 * Committed entries are never lost: an index has one committed entry for ever, the commit index of
 * a running peer does not go back, and who is elected in a later term has everything that was
 * committed before. Source: raft §5.4 (leader completeness, state machine safety).
 */
import { type Checker, CheckFailed, type PeerView, type StoreView } from "../view.js";

const NAME = "committed entries";

interface Committed {
  readonly term: number;
  readonly digest: number;
  /** Term of the peer that was first seen with it; it was committed in this term or before. */
  readonly seenTerm: number;
}

interface RegionLog {
  readonly entries: Map<number, Committed>;
  lastIndex: number;
}

interface Seen {
  committed: number;
  ledTerm: number;
}

export class CommittedEntries implements Checker {
  readonly name = NAME;
  private readonly logs = new Map<number, RegionLog>();
  private readonly seen = new Map<string, Seen>();

  afterEvent(store: StoreView): void {
    for (const peer of store.peers) {
      const name = `${store.storeId}/${store.incarnation}/${peer.regionId}/${peer.peerId}`;
      let seen = this.seen.get(name);
      if (seen === undefined) {
        seen = { committed: Math.max(0, peer.firstIndex - 1), ledTerm: 0 };
        this.seen.set(name, seen);
      }
      const log = this.logOf(peer.regionId);
      if (peer.isLeader && seen.ledTerm !== peer.term) {
        seen.ledTerm = peer.term;
        checkLeader(peer, log);
      }
      if (peer.committed === seen.committed) continue;
      if (peer.committed < seen.committed) {
        const change = `from ${seen.committed} to ${peer.committed}`;
        throw new CheckFailed(NAME, `${nameOf(peer)}: the commit index goes back ${change}`);
      }
      this.onCommitted(peer, log, seen.committed + 1);
      seen.committed = peer.committed;
    }
  }

  private onCommitted(peer: PeerView, log: RegionLog, from: number): void {
    for (let index = Math.max(from, peer.firstIndex); index <= peer.committed; index++) {
      const term = peer.termAt(index);
      const digest = peer.digestAt(index);
      if (term === undefined || digest === undefined) continue;
      const known = log.entries.get(index);
      if (known === undefined) {
        log.entries.set(index, { term, digest, seenTerm: peer.term });
        log.lastIndex = Math.max(log.lastIndex, index);
      } else if (known.term !== term || known.digest !== digest) {
        const both = `of term ${term}, elsewhere of term ${known.term}`;
        throw new CheckFailed(NAME, `${nameOf(peer)}: committed entry ${index} is ${both}`);
      }
    }
  }

  private logOf(regionId: number): RegionLog {
    let log = this.logs.get(regionId);
    if (log === undefined) {
      log = { entries: new Map(), lastIndex: 0 };
      this.logs.set(regionId, log);
    }
    return log;
  }
}

function nameOf(peer: PeerView): string {
  return `region ${peer.regionId} peer ${peer.peerId}`;
}

function checkLeader(peer: PeerView, log: RegionLog): void {
  for (let index = log.lastIndex; index >= peer.firstIndex; index--) {
    const entry = log.entries.get(index);
    // Who leads a term that is over already may lack what later terms committed.
    if (entry === undefined || entry.seenTerm >= peer.term) continue;
    if (peer.termAt(index) === entry.term) continue;
    const what = `lacks entry ${index}, committed with term ${entry.term}`;
    throw new CheckFailed(NAME, `${nameOf(peer)} leads term ${peer.term} and ${what}`);
  }
}
