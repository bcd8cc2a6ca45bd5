/** This PD as a cluster member: the only one, and the leader, until etcd holds the election. */
import { utf8 } from "../../base/index.js";

export interface Member {
  readonly name: string;
  readonly id: bigint;
  readonly clientUrls: readonly string[];
  readonly peerUrls: readonly string[];
}

const FNV_OFFSET = 0xcbf2_9ce4_8422_2325n;
const FNV_PRIME = 0x100_0000_01b3n;

/**
 * Returns the id of member `name` of a cluster: the same at each start and never 0 (client-java
 * takes 0 as "no leader"). FNV-1a, 64 bits.
 */
export function memberId(clusterId: bigint, name: string): bigint {
  let hash = FNV_OFFSET;
  for (const byte of utf8(`${clusterId}/${name}`)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME);
  }
  return hash === 0n ? 1n : hash;
}
