/**
 * Applies a split: the region's range is cut at the keys, its new regions get their states in the
 * same batch as the new state of the region itself. Nobody but this entry makes a region.
 * Source: tikv raftstore/store/fsm/apply.rs exec_batch_split.
 */
import {
  assert,
  compareBytes,
  err,
  idToNumber,
  keyInRange,
  ok,
  type Result,
} from "../../base/index.js";
import { applyStateKey, regionStateKey } from "../../codec/index.js";
import type { LoggedAdmin } from "../cmd_codec.js";
import type { SplitPart } from "../commands.js";
import {
  encodeRaftApplyState,
  encodeRegionLocalState,
  initialApplyState,
  PEER_STATE,
} from "../local_state.js";
import { keyNotInRegion, type PeerInfo, type RegionError, type RegionInfo } from "../region.js";
import { type ExecInput, type ExecOutcome, refused } from "./exec_admin.js";

type Split = Extract<LoggedAdmin, { readonly kind: "split" }>;

/** Carries out the split, whole or not at all. */
export function execSplit(input: ExecInput<Split>): ExecOutcome {
  const { region, command, states } = input;
  const split = splitRegion(region, command.parts, command.rightDerive);
  if (!split.ok) return split;
  const { regions, derived } = split.value;
  const notCreated: number[] = [];
  for (const one of regions) {
    if (one === derived) continue;
    if (!claim(one, input)) {
      notCreated.push(idToNumber(one.id));
      continue;
    }
    putRegionState(input, one);
    states.put("raft", applyStateKey(one.id), encodeRaftApplyState(initialApplyState()));
  }
  putRegionState(input, derived);
  return ok({
    regions,
    region: derived,
    siblings: regions.filter((one) => one !== derived),
    result: { kind: "split", index: input.entry.index, regions, derived, notCreated },
  });
}

function putRegionState({ states }: ExecInput<Split>, region: RegionInfo): void {
  const record = encodeRegionLocalState({ state: PEER_STATE.Normal, region });
  states.put("raft", regionStateKey(region.id), record);
}

/**
 * Whether the split makes the peer of a new region here. It does not if a message has made one of
 * another id, or left a state: then the region went on without this peer, and what is here is newer.
 */
function claim(region: RegionInfo, { deps }: ExecInput<Split>): boolean {
  const own = region.peers.find((peer) => peer.storeId === deps.storeId);
  if (own === undefined) return false;
  const [regionId, peerId] = [idToNumber(region.id), idToNumber(own.id)];
  const claimed = deps.creates.claimForSplit(regionId, peerId);
  if (claimed === "taken") return false;
  if (!deps.hasRegionState(region.id)) return true;
  assert(claimed === "free", "an uninitialised peer has no region state");
  deps.creates.releaseSplit(regionId, peerId);
  return false;
}

export interface SplitRegions {
  /** In key order. */
  readonly regions: readonly RegionInfo[];
  /** The one that keeps the id; one of `regions`. */
  readonly derived: RegionInfo;
}

/**
 * Returns the regions that a split makes of `region`, or why it is refused: no parts, a part
 * without key, ids that do not match the peers, keys that do not ascend or lie outside of
 * (start, end). Each new region takes its peers' stores and roles, in order. With `rightDerive` a
 * part's region ends at its key, else it starts there.
 */
export function splitRegion(
  region: RegionInfo,
  parts: readonly SplitPart[],
  rightDerive: boolean,
): Result<SplitRegions, RegionError> {
  const problem = checkParts(region, parts);
  if (problem !== undefined) return err(problem);
  const version = region.version + BigInt(parts.length);
  const bounds = [region.startKey, ...parts.map((part) => part.splitKey), region.endKey];
  const derivedAt = rightDerive ? parts.length : 0;
  const regions: RegionInfo[] = [];
  for (let i = 0; i <= parts.length; i++) {
    const part = parts[rightDerive ? i : i - 1];
    const range = { startKey: bounds[i] as Uint8Array, endKey: bounds[i + 1] as Uint8Array };
    const base = { ...region, ...range, version };
    if (i === derivedAt || part === undefined) regions.push(base);
    else regions.push({ ...base, id: part.newRegionId, peers: newPeers(region, part) });
  }
  return ok({ regions, derived: regions[derivedAt] as RegionInfo });
}

function newPeers(region: RegionInfo, part: SplitPart): readonly PeerInfo[] {
  return region.peers.map((peer, i) => ({ ...peer, id: part.newPeerIds[i] as bigint }));
}

function checkParts(region: RegionInfo, parts: readonly SplitPart[]): RegionError | undefined {
  if (parts.length === 0) return refused("missing split requests").error;
  let last: Uint8Array | undefined;
  for (const { splitKey, newPeerIds } of parts) {
    if (splitKey.length === 0) return refused("missing split key").error;
    if (last !== undefined && compareBytes(splitKey, last) <= 0) {
      return refused("invalid split request: split keys do not ascend").error;
    }
    if (newPeerIds.length !== region.peers.length) {
      const [got, need] = [newPeerIds.length, region.peers.length];
      return refused(`invalid new peer id count, need ${need} but got ${got}`).error;
    }
    const inside =
      keyInRange(splitKey, region.startKey, region.endKey) &&
      compareBytes(splitKey, region.startKey) !== 0;
    if (!inside) return keyNotInRegion(splitKey, region);
    last = splitKey;
  }
  return undefined;
}
