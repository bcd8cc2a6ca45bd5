/**
 * RaftSnapshotData, the bytes that a MsgSnapshot carries in Snapshot.data: which region, about how
 * many bytes, in which format. The data themselves travel apart (format.ts).
 */
import { err, errorMessage, ok, type Result } from "../../base/index.js";
import {
  fromBigInt,
  type metapb,
  raft_serverpb,
  toBigInt,
  toNumberSaturating,
} from "../../pb/index.js";
import { regionFromPb, regionToPb } from "../local_state.js";
import type { RegionInfo } from "../region.js";

/**
 * RaftSnapshotData.version of Rutile: "RUT" and the version of the format. TiKV's is 2; TiKV finds
 * no SST files in our meta and refuses it, as this store refuses TiKV's version.
 */
export const SNAPSHOT_DATA_VERSION = 0x5255_5401;

export interface SnapshotData {
  readonly region: RegionInfo;
  /** Approximate size of the data. */
  readonly sizeBytes: number;
}

/** Returns RaftSnapshotData as bytes. */
export function encodeSnapshotData({ region, sizeBytes }: SnapshotData): Uint8Array {
  return raft_serverpb.RaftSnapshotData.encode({
    region: regionToPb(region),
    fileSize: fromBigInt(BigInt(sizeBytes)),
    version: fromBigInt(BigInt(SNAPSHOT_DATA_VERSION)),
    meta: {},
  }).finish();
}

/** Err: a text that says why these bytes cannot be used; they may come from anywhere. */
export function decodeSnapshotData(bytes: Uint8Array): Result<SnapshotData, string> {
  try {
    const data = raft_serverpb.RaftSnapshotData.decode(bytes);
    const version = toBigInt(data.version);
    if (version !== BigInt(SNAPSHOT_DATA_VERSION)) {
      return err(`snapshot data of version ${version}, this store reads ${SNAPSHOT_DATA_VERSION}`);
    }
    if (data.region == null) return err("snapshot data without a region");
    const region = regionFromPb(data.region as metapb.Region);
    if (region.id === 0n || region.peers.length === 0) return err("snapshot data without a region");
    return ok({ region, sizeBytes: toNumberSaturating(data.fileSize) });
  } catch (error) {
    return err(`snapshot data: ${errorMessage(error)}`);
  }
}
