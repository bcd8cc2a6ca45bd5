/** Hand-made views of a cluster for the unit tests of the simulator's checkers. */
import type {
  AppliedState,
  Checker,
  ClusterView,
  MemberView,
  PeerView,
  RegionView,
  StoreView,
} from "../sim/view.js";

/** A log by term: `[1, 1, 2]` has entries 6, 7, 8; all views begin there. */
export const FIRST_INDEX = 6;

const MEMBERS: readonly MemberView[] = [1, 2, 3].map((storeId) => ({
  peerId: storeId + 10,
  storeId,
  role: "voter",
}));

export function region(change: Partial<RegionView> = {}): RegionView {
  return {
    regionId: 2,
    start: "",
    end: "",
    version: 1,
    confVer: 1,
    members: MEMBERS,
    ...change,
  };
}

export type PeerChange = Partial<PeerView> & {
  /** Terms of the log, from FIRST_INDEX. */
  readonly log?: readonly number[];
  /** Added to the digests of all entries. */
  readonly salt?: number;
};

/** A peer of store `storeId`, with everything in its log committed and applied. */
export function peer(storeId: number, change: PeerChange = {}): PeerView {
  const { log = [5, 5], salt = 0, ...rest } = change;
  const lastIndex = FIRST_INDEX + log.length - 1;
  const termAt = (index: number): number | undefined => log[index - FIRST_INDEX];
  return {
    regionId: 2,
    peerId: storeId + 10,
    storeId,
    term: 5,
    isLeader: false,
    holdsLease: false,
    committedInTerm: true,
    committed: lastIndex,
    applied: lastIndex,
    firstIndex: FIRST_INDEX,
    lastIndex,
    region: region(),
    termAt,
    digestAt: (index) => {
      const term = termAt(index);
      return term === undefined ? undefined : term * 1000 + index + salt;
    },
    ...rest,
  };
}

export function store(
  storeId: number,
  peers: readonly PeerView[],
  change: Partial<StoreView> = {},
): StoreView {
  const appliedState = (regionId: number): AppliedState | undefined => {
    const found = peers.find((one) => one.regionId === regionId);
    if (found?.region === undefined) return undefined;
    return { applied: found.applied, region: found.region, digest: "same" };
  };
  return { storeId, incarnation: 1, isUp: true, peers, appliedState, ...change };
}

export function cluster(
  stores: readonly StoreView[],
  pdRegions: readonly RegionView[] = [region()],
): ClusterView {
  return { nowUs: 1_000_000, stores, pdRegions };
}

/** Shows `view` to a checker in every way. */
export function show(checker: Checker, view: ClusterView): void {
  for (const shown of view.stores) checker.afterEvent?.(shown);
  checker.glance?.(view);
  checker.sweep?.(view);
}
