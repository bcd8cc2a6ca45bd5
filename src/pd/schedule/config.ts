/**
 * What scheduling can be told, with PD's names (in the comments) and defaults. PURE. The values
 * are read anew at each decision, so a change takes effect at once.
 */
const MINUTE_MS = 60_000;

export interface ScheduleConfig {
  /** `replication.max-replicas` */
  readonly maxReplicas: number;
  /** `replication.location-labels`, broadest first; empty = stores are all alike. */
  readonly locationLabels: readonly string[];
  /** `replication.isolation-level`: a location label below which replicas never share a value. */
  readonly isolationLevel: string;
  /** `schedule.leader-schedule-limit`: leader transfers under way. */
  readonly leaderScheduleLimit: number;
  /** `schedule.region-schedule-limit`: balancing moves under way. */
  readonly regionScheduleLimit: number;
  /** `schedule.replica-schedule-limit`: replica repairs under way. */
  readonly replicaScheduleLimit: number;
  /** `schedule.max-store-down-time`, milliseconds of silence before replicas are replaced. */
  readonly maxStoreDownTimeMs: number;
  /** `schedule.patrol-region-interval`, milliseconds between batches of regions looked at. */
  readonly patrolRegionIntervalMs: number;
  /** `schedule.low-space-ratio`: share of the disk above which a store takes no more regions. */
  readonly lowSpaceRatio: number;
  /** `schedule.tolerant-size-ratio`; 0 = by the number of regions. */
  readonly tolerantSizeRatio: number;
  /** `schedule.enable-joint-consensus` */
  readonly enableJointConsensus: boolean;
  /** `schedule.max-snapshot-count`: snapshots a store may send or receive and still be chosen. */
  readonly maxSnapshotCount: number;
  /** `schedule.max-pending-peer-count`: lagging peers a store may have and still be chosen. */
  readonly maxPendingPeerCount: number;
  /** `schedule.store-limit`: peers a minute that a store may be given. */
  readonly storeLimitAddPerMinute: number;
  /** `schedule.store-limit`: peers a minute that a store may lose. */
  readonly storeLimitRemovePerMinute: number;
  /** `schedule.enable-remove-down-replica` */
  readonly enableRemoveDownReplica: boolean;
  /** `schedule.enable-replace-offline-replica` */
  readonly enableReplaceOfflineReplica: boolean;
  /** `schedule.enable-make-up-replica` */
  readonly enableMakeUpReplica: boolean;
  /** `schedule.enable-remove-extra-replica` */
  readonly enableRemoveExtraReplica: boolean;
  /** `schedule.enable-location-replacement` */
  readonly enableLocationReplacement: boolean;
  /** `schedule.halt-scheduling` */
  readonly haltScheduling: boolean;
}

export const SCHEDULE_DEFAULTS: ScheduleConfig = {
  maxReplicas: 3,
  locationLabels: [],
  isolationLevel: "",
  leaderScheduleLimit: 4,
  regionScheduleLimit: 2048,
  replicaScheduleLimit: 64,
  maxStoreDownTimeMs: 30 * MINUTE_MS,
  patrolRegionIntervalMs: 10,
  lowSpaceRatio: 0.8,
  tolerantSizeRatio: 0,
  enableJointConsensus: true,
  maxSnapshotCount: 64,
  maxPendingPeerCount: 64,
  storeLimitAddPerMinute: 15,
  storeLimitRemovePerMinute: 15,
  enableRemoveDownReplica: true,
  enableReplaceOfflineReplica: true,
  enableMakeUpReplica: true,
  enableRemoveExtraReplica: true,
  enableLocationReplacement: true,
  haltScheduling: false,
};
