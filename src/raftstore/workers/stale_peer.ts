/**
 * Finding out that a peer was removed while it could not hear of it: pure decisions of a peer's
 * stale-state tick. A peer without a leader for long asks the other members; without an answer for
 * very long it asks PD. It destroys itself only on proof: a newer epoch of its region without it.
 * Source: tikv raftstore/store/peer.rs check_stale_state, store/worker/pd.rs handle_validate_peer.
 */
import { isEpochStale } from "../epoch.js";
import type { ReplicationOptions } from "../options.js";
import type { PeerInfo, RegionInfo } from "../region.js";

export type StaleState =
  | "valid"
  /** Ask the members: MsgCheckStalePeer. */
  | "leaderMissing"
  /** Ask PD for the region. */
  | "toValidate";

/** What the tick sees of its peer. */
export interface StaleView {
  readonly isLeader: boolean;
  /** Whether the leader of the current term spoke since the last tick. */
  readonly hasLeader: boolean;
  readonly isInitialized: boolean;
  readonly isLearner: boolean;
}

export type StaleOptions = Pick<
  ReplicationOptions,
  "abnormalLeaderMissingDurationMs" | "maxLeaderMissingDurationMs"
>;

/** What one peer remembers between its ticks. */
export class StalePeerCheck {
  /** Monotonic ms of the first tick without a leader. */
  private missingSinceMs: number | undefined;
  /** The newest members that a store which was removed itself told of. */
  private heardConfVer = 0n;
  private heardPeers: readonly PeerInfo[] = [];

  constructor(private readonly options: StaleOptions) {}

  /** Returns what to do at a tick of peer-stale-state-check-interval. */
  onTick(nowMs: number, view: StaleView): StaleState {
    if (view.isLeader || view.hasLeader) {
      this.missingSinceMs = undefined;
      return "valid";
    }
    this.missingSinceMs ??= nowMs;
    const missingMs = nowMs - this.missingSinceMs;
    if (missingMs >= this.options.maxLeaderMissingDurationMs) {
      // PD is asked once in that time.
      this.missingSinceMs = nowMs;
      return "toValidate";
    }
    // A peer without data, or a learner, may well wait long for its leader.
    const naive = !view.isInitialized || view.isLearner;
    return !naive && missingMs >= this.options.abnormalLeaderMissingDurationMs
      ? "leaderMissing"
      : "valid";
  }

  /** Returns whom to ask: the other members, and those that an answer named. */
  recipients(region: RegionInfo, selfPeerId: bigint): PeerInfo[] {
    const asked = new Map<bigint, PeerInfo>();
    for (const peer of [...region.peers, ...this.heardPeers]) {
      if (peer.id !== selfPeerId) asked.set(peer.id, peer);
    }
    return [...asked.values()];
  }

  /** Takes MsgCheckStalePeerResponse: another store's last knowledge of `region`. */
  onResponse(region: RegionInfo, answer: RegionInfo): void {
    if (answer.id !== region.id || answer.confVer <= region.confVer) return;
    if (answer.confVer <= this.heardConfVer) return;
    this.heardConfVer = answer.confVer;
    this.heardPeers = answer.peers;
  }
}

/**
 * Returns whether PD's region proves that a peer was removed: it is not older than the peer's own
 * and does not name it. No region at PD proves nothing: a split may not have been reported yet.
 */
export function provesRemoval(
  local: RegionInfo,
  selfPeerId: bigint,
  known: RegionInfo | undefined,
): boolean {
  if (known === undefined || known.id !== local.id) return false;
  return !isEpochStale(known, local) && known.peers.every((peer) => peer.id !== selfPeerId);
}
