/**
 * Epoch rules of regions. Pure. Admin commands join this table with their issue.
 * Source: tikv raftstore/store/util.rs compare_region_epoch.
 */
import type { RegionError, RegionInfo } from "./region.js";

export interface RegionEpoch {
  readonly confVer: bigint;
  readonly version: bigint;
}

/** Reads and writes of data check `version` only: a moved peer does not move keys. */
const NORMAL_REQ_CHECK_VER = true;
const NORMAL_REQ_CHECK_CONF_VER = false;

/** An epoch as TiKV's texts show it; fields that are 0 are left out. */
function show({ confVer, version }: RegionEpoch): string {
  const parts: string[] = [];
  if (confVer !== 0n) parts.push(`conf_ver: ${confVer}`);
  if (version !== 0n) parts.push(`version: ${version}`);
  return parts.join(" ");
}

/**
 * Checks the epoch of a data request by equality: a newer epoch is refused too, because then this
 * peer lags and its data may be incomplete for the client's view of the region.
 */
export function checkRegionEpoch(from: RegionEpoch, region: RegionInfo): RegionError | undefined {
  const differs =
    (NORMAL_REQ_CHECK_CONF_VER && from.confVer !== region.confVer) ||
    (NORMAL_REQ_CHECK_VER && from.version !== region.version);
  if (!differs) return undefined;
  return {
    kind: "epochNotMatch",
    message:
      `EpochNotMatch current epoch of region ${region.id} is ${show(region)}, ` +
      `but you sent ${show(from)}`,
    currentRegions: [region],
  };
}
