/**
 * State machine safety: peers of a region that applied up to the same index hold the same data and
 * the same region, whenever they got there, and applied never passes committed.
 */
import {
  type Checker,
  CheckFailed,
  type ClusterView,
  describeRegion,
  type PeerView,
  type StoreView,
} from "../view.js";

const NAME = "applied prefixes";
/** Indexes remembered for each region; peers that lag further are compared when they catch up. */
const REMEMBERED = 4096;

interface State {
  readonly digest: string;
  readonly peerId: number;
}

export class AppliedPrefixes implements Checker {
  readonly name = NAME;
  /** Region id → applied index → what was there. */
  private readonly states = new Map<number, Map<number, State>>();
  compared = 0;

  sweep(view: ClusterView): void {
    for (const store of view.stores) {
      if (store.isUp) for (const peer of store.peers) this.check(store, peer);
    }
  }

  atRest(view: ClusterView): void {
    this.sweep(view);
  }

  private check(store: StoreView, peer: PeerView): void {
    const { regionId, peerId } = peer;
    const who = `region ${regionId} peer ${peerId}`;
    if (peer.applied > peer.committed) {
      throw new CheckFailed(NAME, `${who} applied ${peer.applied} of ${peer.committed}`);
    }
    const state = store.appliedState(regionId);
    if (state === undefined) return;
    const { applied } = state;
    const digest = `${describeRegion(state.region)} data ${state.digest}`;
    const states = this.states.get(regionId) ?? new Map<number, State>();
    this.states.set(regionId, states);
    const known = states.get(applied);
    if (known === undefined) {
      states.set(applied, { digest, peerId });
      if (states.size > REMEMBERED) states.delete(states.keys().next().value as number);
      return;
    }
    this.compared++;
    if (known.digest === digest) return;
    const difference = `${digest}\n  peer ${known.peerId} had ${known.digest}`;
    throw new CheckFailed(NAME, `${who} at applied ${applied} has ${difference}`);
  }
}
