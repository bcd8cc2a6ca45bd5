/** Looks into the peers of a running store, for checkers and for people. Changes nothing. */
import { compareBytes } from "../../src/base/index.js";
import { dataRange } from "../../src/codec/index.js";
import { type CfName, cfKey, cfUpperBound } from "../../src/engine/index.js";
import { TreeCursor } from "../../src/engine/memory_tree.js";
import { type Entry, Role } from "../../src/raft/index.js";
import {
  PEER_STATE,
  readRaftApplyState,
  readRegionLocalState,
} from "../../src/raftstore/local_state.js";
import type { Peer } from "../../src/raftstore/peer.js";
import type { RegionInfo } from "../../src/raftstore/region.js";
import { regionView } from "./cluster.js";
import type { SimDisk, SimEngine } from "./disk.js";
import type { SimHost } from "./host.js";
import { hashBytes, TraceHash } from "./trace.js";
import type { AppliedState, PeerView, RegionView } from "./view.js";

const ENTRY_BYTES_MAX = 1 << 30;
const views = new WeakMap<RegionInfo, RegionView>();

/** Returns the same view for the same region. */
function viewOf(region: RegionInfo): RegionView {
  let view = views.get(region);
  if (view === undefined) {
    view = regionView(region);
    views.set(region, view);
  }
  return view;
}

/** One look at a peer; it reads the peer's state when asked. */
class PeerProbe implements PeerView {
  readonly regionId: number;
  readonly peerId: number;
  readonly storeId: number;
  readonly term: number;
  readonly isLeader: boolean;
  readonly committed: number;
  readonly applied: number;
  readonly region: RegionView | undefined;
  private readonly peer: Peer;
  private readonly host: SimHost;

  constructor(peer: Peer, host: SimHost) {
    const { raft } = peer.rawNode as unknown as { raft: PeerProbe["raft"] };
    this.peer = peer;
    this.host = host;
    this.regionId = peer.regionId;
    this.peerId = peer.peerNumber;
    this.storeId = Number(peer.self.storeId);
    this.term = raft.term;
    this.isLeader = raft.role === Role.Leader;
    this.committed = raft.log.committed;
    this.applied = peer.applied;
    this.region = peer.storage.isInitialized ? viewOf(peer.region) : undefined;
  }

  get holdsLease(): boolean {
    return this.host.peek(() => this.peer.canReadLocally());
  }

  get committedInTerm(): boolean {
    return this.raft.log.term(this.raft.log.committed) === this.raft.term;
  }

  get firstIndex(): number {
    return this.raft.log.firstIndex();
  }

  get lastIndex(): number {
    return this.raft.log.lastIndex();
  }

  termAt(index: number): number | undefined {
    return this.raft.log.term(index);
  }

  digestAt(index: number): number | undefined {
    if (this.termAt(index) === undefined || index < this.firstIndex) return undefined;
    const found = this.raft.log.slice(index, index + 1, ENTRY_BYTES_MAX, { kind: "campaign" });
    if (typeof found === "string") return undefined;
    const { type, term, data } = found[0] as Entry;
    return (hashBytes(data) + term * 4 + type) % Number.MAX_SAFE_INTEGER;
  }

  private get raft(): import("../../src/raft/raft.js").Raft {
    return (this.peer.rawNode as unknown as { raft: import("../../src/raft/raft.js").Raft }).raft;
  }
}

export function probePeers(peers: Iterable<Peer>, host: SimHost): PeerView[] {
  const found: PeerView[] = [];
  for (const peer of peers) if (peer.isActive) found.push(new PeerProbe(peer, host));
  return found;
}

/** Returns what the engine holds of a region, now; undefined while its data is being replaced. */
export function probeApplied(
  regionId: number,
  engine: SimEngine,
  disk: SimDisk,
  cfs: readonly CfName[],
): AppliedState | undefined {
  const id = BigInt(regionId);
  const state = readRegionLocalState(engine, id);
  const apply = readRaftApplyState(engine, id);
  if (state === undefined || apply === undefined || state.state !== PEER_STATE.Normal) {
    return undefined;
  }
  const { region } = state;
  return {
    applied: apply.appliedIndex,
    region: regionView(region),
    digest: digest(region, disk, cfs),
  };
}

function digest({ startKey, endKey }: RegionInfo, disk: SimDisk, cfs: readonly CfName[]): string {
  const { start, end } = dataRange(startKey, endKey);
  const hash = new TraceHash();
  for (const cf of cfs) {
    const upper = cfUpperBound(cf, end);
    const cursor = new TreeCursor(disk.newest);
    for (let on = cursor.seek(cfKey(cf, start)); on; on = cursor.next()) {
      if (compareBytes(cursor.key, upper) >= 0) break;
      hash.bytes(cursor.key);
      hash.bytes(cursor.value);
    }
  }
  return hash.digest();
}
