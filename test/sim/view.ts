/**
 * What checkers see of a cluster. cluster.ts implements it over production objects; the unit tests
 * of the checkers by hand. Keys are lower-case hex, so that comparing strings compares bytes.
 */

export type PeerRole = "voter" | "learner" | "incomingVoter" | "demotingVoter";

export interface MemberView {
  readonly peerId: number;
  readonly storeId: number;
  readonly role: PeerRole;
}

/** A region as one peer, or PD, knows it: `[start, end)`, an empty end = +inf. */
export interface RegionView {
  readonly regionId: number;
  readonly start: string;
  readonly end: string;
  readonly version: number;
  readonly confVer: number;
  readonly members: readonly MemberView[];
}

/** One peer on one store, now. */
export interface PeerView {
  readonly regionId: number;
  readonly peerId: number;
  readonly storeId: number;
  readonly term: number;
  readonly isLeader: boolean;
  /** Whether a local read would be served under the lease now. */
  readonly holdsLease: boolean;
  /** Whether something of the own term is committed. */
  readonly committedInTerm: boolean;
  readonly committed: number;
  readonly applied: number;
  /** First entry of the log that is not compacted. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Undefined before the first snapshot. */
  readonly region: RegionView | undefined;
  /** Term of an entry of the log, undefined when it is compacted or absent. */
  termAt(index: number): number | undefined;
  /** Digest of an entry's kind, term and payload; undefined as termAt. */
  digestAt(index: number): number | undefined;
}

/** A region's state machine as the engine holds it. */
export interface AppliedState {
  readonly applied: number;
  readonly region: RegionView;
  /** Of all data in the region's range. */
  readonly digest: string;
}

export interface StoreView {
  readonly storeId: number;
  /** Goes up with each start; what was seen before may be gone. */
  readonly incarnation: number;
  readonly isUp: boolean;
  /** Peers that exist here, none while the store is down. */
  readonly peers: readonly PeerView[];
  /** What the engine shows of a region, in one moment; undefined while that is being replaced. */
  appliedState(regionId: number): AppliedState | undefined;
}

export interface ClusterView {
  readonly nowUs: number;
  readonly stores: readonly StoreView[];
  /** The regions as PD knows them. */
  readonly pdRegions: readonly RegionView[];
}

/** A property that must hold. Every method throws CheckFailed. */
export interface Checker {
  readonly name: string;
  /** After each event of a store. */
  afterEvent?(store: StoreView): void;
  /** Often, over everything. */
  glance?(view: ClusterView): void;
  /** From time to time, over everything. */
  sweep?(view: ClusterView): void;
  /** When the cluster was healed and has come to rest. */
  atRest?(view: ClusterView): void;
}

/** A property does not hold. */
export class CheckFailed extends Error {
  override readonly name = "CheckFailed";
  readonly checker: string;

  constructor(checker: string, message: string) {
    super(`${checker}: ${message}`);
    this.checker = checker;
  }
}

/** Returns the peers of all stores that are up. */
export function allPeers(view: ClusterView): PeerView[] {
  return view.stores.filter((store) => store.isUp).flatMap((store) => store.peers);
}

/** Returns a region as text, for messages. */
export function describeRegion(region: RegionView): string {
  const { regionId, start, end, version, confVer, members } = region;
  const peers = members.map(
    ({ peerId, storeId, role }) => `${peerId}@${storeId}${role === "voter" ? "" : `(${role})`}`,
  );
  return `region ${regionId} [${start}, ${end}) epoch ${version}/${confVer} peers ${peers.join(" ")}`;
}
