/**
 * Epoch rules of regions: what each command compares, and how it moves the epoch. Pure.
 * PERSISTED in effect: all peers must judge an entry of the log alike, so a row is never changed.
 * Source: tikv raftstore/store/util.rs admin_cmd_epoch_lookup, compare_region_epoch.
 */
import type { RegionError, RegionInfo } from "./region.js";

export interface RegionEpoch {
  readonly confVer: bigint;
  readonly version: bigint;
}

/** Commands as the rules tell them apart; normal: reads and writes of data. */
export type EpochCommand = "normal" | "changePeer" | "split" | "compactLog" | "transferLeader";

export interface EpochRule {
  readonly checksVersion: boolean;
  readonly checksConfVer: boolean;
  /** Whether a command that succeeds moves the field. */
  readonly changesVersion: boolean;
  readonly changesConfVer: boolean;
}

function rule(check: "" | "v" | "c" | "vc", change: "" | "v" | "c"): EpochRule {
  return {
    checksVersion: check.includes("v"),
    checksConfVer: check.includes("c"),
    changesVersion: change === "v",
    changesConfVer: change === "c",
  };
}

/** A moved peer does not move keys, so data compares the version only. */
export const EPOCH_RULES: Readonly<Record<EpochCommand, EpochRule>> = {
  normal: rule("v", ""),
  changePeer: rule("c", "c"),
  split: rule("vc", "v"),
  compactLog: rule("", ""),
  transferLeader: rule("", ""),
};

/** An epoch as TiKV's texts show it; fields that are 0 are left out. */
function show({ confVer, version }: RegionEpoch): string {
  const parts: string[] = [];
  if (confVer !== 0n) parts.push(`conf_ver: ${confVer}`);
  if (version !== 0n) parts.push(`version: ${version}`);
  return parts.join(" ");
}

/** Returns the refusal of a command for epoch `from`; the region comes first in `currentRegions`. */
export function epochNotMatch(
  from: RegionEpoch,
  region: RegionInfo,
  siblings: readonly RegionInfo[] = [],
): RegionError {
  return {
    kind: "epochNotMatch",
    message:
      `EpochNotMatch current epoch of region ${region.id} is ${show(region)}, ` +
      `but you sent ${show(from)}`,
    currentRegions: [region, ...siblings],
  };
}

/**
 * Checks the epoch of a command by equality: a newer epoch is refused too, because then this peer
 * lags and its data may be incomplete for the sender's view of the region.
 */
export function checkEpoch(
  command: EpochCommand,
  from: RegionEpoch,
  region: RegionInfo,
  siblings: readonly RegionInfo[] = [],
): RegionError | undefined {
  const { checksVersion, checksConfVer } = EPOCH_RULES[command];
  const differs =
    (checksConfVer && from.confVer !== region.confVer) ||
    (checksVersion && from.version !== region.version);
  return differs ? epochNotMatch(from, region, siblings) : undefined;
}

/** As `checkEpoch`, for data. */
export function checkRegionEpoch(from: RegionEpoch, region: RegionInfo): RegionError | undefined {
  return checkEpoch("normal", from, region);
}

/** Returns whether `epoch` is behind `other` in any field. */
export function isEpochStale(epoch: RegionEpoch, other: RegionEpoch): boolean {
  return epoch.version < other.version || epoch.confVer < other.confVer;
}

/**
 * Returns whether a command may wait in the log behind an admin command that is not applied yet:
 * false when that one would change what this one compares, so that it would be refused there.
 */
export function mayFollow(command: EpochCommand, pending: EpochCommand): boolean {
  const own = EPOCH_RULES[command];
  const before = EPOCH_RULES[pending];
  return !(
    (own.checksVersion && before.changesVersion) ||
    (own.checksConfVer && before.changesConfVer)
  );
}
