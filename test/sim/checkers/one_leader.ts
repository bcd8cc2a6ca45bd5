/** Election safety: a term of a region has one leader at most. Source: raft §5.2. */
import { type Checker, CheckFailed, type StoreView } from "../view.js";

const NAME = "one leader a term";

export class OneLeader implements Checker {
  readonly name = NAME;
  /** Elections that a region saw after its first. */
  changes = 0;
  private readonly leaders = new Map<string, number>();
  private readonly regions = new Set<number>();

  afterEvent(store: StoreView): void {
    for (const { isLeader, regionId, term, peerId } of store.peers) {
      if (!isLeader) continue;
      const place = `region ${regionId} term ${term}`;
      const known = this.leaders.get(place);
      if (known === undefined) {
        this.leaders.set(place, peerId);
        if (this.regions.has(regionId)) this.changes++;
        this.regions.add(regionId);
      } else if (known !== peerId) {
        throw new CheckFailed(NAME, `${place} is led by peers ${known} and ${peerId}`);
      }
    }
  }
}
