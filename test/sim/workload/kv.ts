/** What clients ask of stores, and what they get. Values are texts, keys "k00", "k01", … */
import type { RegionError, RegionInfo } from "../../../src/raftstore/index.js";
import type { Operation, Outcome } from "../history.js";

/** Where a client sends a request. */
export interface Route {
  readonly region: RegionInfo;
  readonly peerId: bigint;
  readonly storeId: bigint;
  /** A get that a follower may answer. */
  readonly isReplicaRead: boolean;
}

export interface KvRequest {
  readonly route: Route;
  readonly key: string;
  readonly operation: Operation;
}

/** A region error says for certain that nothing was done. */
export type KvReply =
  | { readonly kind: "done"; readonly outcome: Outcome }
  | { readonly kind: "refused"; readonly error: RegionError };

/** How clients reach the cluster; implemented by cluster.ts. */
export interface KvAccess {
  /** Asks a store; undefined: no answer in time. */
  request(client: number, request: KvRequest, done: (reply: KvReply | undefined) => void): void;
  /** Asks PD for the region of a key and its leader; undefined: no answer. */
  locate(client: number, key: string, done: (route: Route | undefined) => void): void;
}

/** Returns the key with number `index`. */
export function keyAt(index: number): string {
  return `k${index.toString().padStart(2, "0")}`;
}
