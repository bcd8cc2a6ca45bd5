/**
 * Stores, regions and members as PD's HTTP API shows them; field names are PD's, so that pd-ctl and
 * the Go client parse them. PURE. Source: pd pkg/response/{store,region}.go.
 */
import { toHex } from "../../base/index.js";
import {
  isLearner,
  PEER_ROLE_NAMES,
  type PeerMeta,
  type RegionInfo,
  regionScore,
  type StoreInfo,
  type StoreLoad,
  storeStateName,
} from "../core/index.js";
import type { ScheduleConfig } from "../schedule/index.js";
import { type Json, omitEmpty } from "./json.js";
import type { Member } from "./member.js";
import { PD_VERSION } from "./options.js";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;

/** Returns a size as PD writes it: "931.5GiB". */
export function sizeText(bytes: bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${UNITS[unit]}`;
}

/** Returns a duration as Go writes it: "1h2m3s". */
export function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h > 0) return `${h}h${m}m${s}s`;
  return m > 0 ? `${m}m${s}s` : `${s}s`;
}

function hexKey(key: Uint8Array): string {
  return toHex(key).toUpperCase();
}

function peerJson(peer: PeerMeta): Json {
  return {
    id: omitEmpty(peer.id),
    store_id: omitEmpty(peer.storeId),
    role: omitEmpty(peer.role),
    is_witness: omitEmpty(peer.isWitness),
    role_name: PEER_ROLE_NAMES[peer.role],
    is_learner: omitEmpty(isLearner(peer)),
  };
}

export function regionJson({ meta, leader, stats, ...region }: RegionInfo): Json {
  return {
    id: meta.id,
    start_key: hexKey(meta.startKey),
    end_key: hexKey(meta.endKey),
    epoch: { conf_ver: omitEmpty(meta.confVer), version: omitEmpty(meta.version) },
    peers: omitEmpty(meta.peers.map(peerJson)),
    leader: leader === undefined ? { role_name: "" } : peerJson(leader),
    down_peers: omitEmpty(
      region.downPeers.map((down) => ({ down_seconds: down.seconds, peer: peerJson(down.peer) })),
    ),
    pending_peers: omitEmpty(region.pendingPeers.map(peerJson)),
    cpu_usage: 0,
    written_bytes: stats.bytesWritten,
    read_bytes: stats.bytesRead,
    written_keys: stats.keysWritten,
    read_keys: stats.keysRead,
    approximate_size: stats.approximateSizeMiB,
    approximate_keys: stats.approximateKeys,
    approximate_kv_size: 0,
    approximate_columnar_kv_size: 0,
    buckets: omitEmpty((region.buckets?.keys ?? []).map(hexKey)),
    bucket_version: omitEmpty(region.buckets?.version ?? 0n),
  };
}

export function storeJson(
  { meta, stats }: StoreInfo,
  load: StoreLoad,
  nowMs: number,
  config: ScheduleConfig,
): Json {
  const heartbeatMs = Number(meta.lastHeartbeat / 1_000_000n);
  const startMs = Number(meta.startTimestamp) * 1000;
  const time = (ms: number): string | undefined =>
    Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : undefined;
  return {
    store: {
      id: omitEmpty(meta.id),
      address: omitEmpty(meta.address),
      state: omitEmpty(meta.state),
      labels: omitEmpty(meta.labels.map(({ key, value }) => ({ key, value }))),
      version: omitEmpty(meta.version),
      peer_address: omitEmpty(meta.peerAddress),
      status_address: omitEmpty(meta.statusAddress),
      git_hash: omitEmpty(meta.gitHash),
      start_timestamp: omitEmpty(meta.startTimestamp),
      deploy_path: omitEmpty(meta.deployPath),
      last_heartbeat: omitEmpty(meta.lastHeartbeat),
      physically_destroyed: omitEmpty(meta.physicallyDestroyed),
      node_state: omitEmpty(meta.nodeState),
      state_name: storeStateName(meta, nowMs, config.maxStoreDownTimeMs),
    },
    status: {
      capacity: sizeText(stats?.capacity ?? 0n),
      available: sizeText(stats?.available ?? 0n),
      used_size: sizeText(stats?.usedSize ?? 0n),
      leader_count: load.leaderCount,
      leader_weight: 1,
      leader_score: load.leaderCount,
      leader_size: load.leaderSizeMiB,
      region_count: load.regionCount,
      region_weight: 1,
      region_score: regionScore(stats, load.balanceSizeMiB, 0, config.lowSpaceRatio),
      region_size: load.regionSizeMiB,
      slow_score: omitEmpty(stats?.slowScore ?? 0n),
      sending_snap_count: omitEmpty(stats?.sendingSnapCount ?? 0),
      receiving_snap_count: omitEmpty(stats?.receivingSnapCount ?? 0),
      applying_snap_count: omitEmpty(stats?.applyingSnapCount ?? 0),
      learner_count: omitEmpty(load.learnerCount),
      pending_peer_count: omitEmpty(load.pendingCount),
      is_busy: omitEmpty(stats?.isBusy ?? false),
      start_ts: stats === undefined ? undefined : time(startMs),
      last_heartbeat_ts: heartbeatMs === 0 ? undefined : time(heartbeatMs),
      uptime: heartbeatMs > startMs ? durationText(heartbeatMs - startMs) : undefined,
    },
  };
}

export function memberJson(member: Member): Json {
  return {
    name: member.name,
    member_id: member.id,
    peer_urls: [...member.peerUrls],
    client_urls: [...member.clientUrls],
    binary_version: PD_VERSION,
  };
}
