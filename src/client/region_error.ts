/**
 * What to do about a region error, as client-go does (internal/locate/region_request.go). Pure:
 * from the error to an action; region_request.ts carries it out.
 */
import type { errorpb } from "../pb/index.js";
import { toNumberSaturating } from "../pb/index.js";
import type { BackoffName } from "./backoff.js";

export type RegionErrorAction =
  /** Another peer leads; ask it at once, or find out who does when `leader` is missing. */
  | { readonly do: "switchLeader"; readonly leader: errorpb.NotLeader["leader"] }
  /** Ask the same peer again after the wait. */
  | { readonly do: "retry"; readonly backoff: BackoffName; readonly leastMs: number }
  /** Ask another peer, after the wait if there is one. */
  | { readonly do: "nextPeer"; readonly backoff: BackoffName | undefined; readonly leastMs: number }
  /** Forget the region and locate the keys anew. */
  | { readonly do: "reload"; readonly backoff: BackoffName | undefined }
  /** Put these regions into the cache, then locate the keys anew. */
  | { readonly do: "replace"; readonly error: errorpb.EpochNotMatch }
  /** The address belongs to another store: resolve it anew, forget region and connection. */
  | { readonly do: "reloadStore" }
  /** Give up. */
  | { readonly do: "fail"; readonly reason: "entryTooLarge" | "undetermined" | "refused" };

const retry = (backoff: BackoffName, leastMs = 0): RegionErrorAction => ({
  do: "retry",
  backoff,
  leastMs,
});
const reload = (backoff?: BackoffName): RegionErrorAction => ({ do: "reload", backoff });
const nextPeer = (backoff?: BackoffName, leastMs = 0): RegionErrorAction => ({
  do: "nextPeer",
  backoff,
  leastMs,
});

/** Longest advice of a busy store that is followed, ms. */
const BUSY_ADVICE_MAX_MS = 10_000;

function onBusy(error: errorpb.ServerIsBusy): RegionErrorAction {
  if (error.reason.includes("deadline is exceeded")) return nextPeer();
  const advised = Math.max(toNumberSaturating(error.backoffMs), error.estimatedWaitMs);
  return retry("tikvServerBusy", Math.min(advised, BUSY_ADVICE_MAX_MS));
}

/** Returns what to do about `error`. Fields are tested in client-go's order. */
export function onRegionError(error: errorpb.Error): RegionErrorAction {
  if (error.undeterminedResult !== null) return { do: "fail", reason: "undetermined" };
  if (error.notLeader !== null) return { do: "switchLeader", leader: error.notLeader.leader };
  if (error.diskFull !== null) return retry("tikvDiskFull");
  if (error.RecoveryInProgress !== null) return reload("regionRecoveryInProgress");
  if (error.isWitness !== null) return reload("isWitness");
  if (error.FlashbackInProgress !== null || error.FlashbackNotPrepared !== null) {
    return { do: "fail", reason: "refused" };
  }
  if (error.keyNotInRegion !== null || error.mismatchPeerId !== null) return reload();
  if (error.epochNotMatch !== null) return { do: "replace", error: error.epochNotMatch };
  if (error.serverIsBusy !== null) return onBusy(error.serverIsBusy);
  if (error.staleCommand !== null) return retry("staleCommand");
  if (error.storeNotMatch !== null) return { do: "reloadStore" };
  if (error.raftEntryTooLarge !== null) return { do: "fail", reason: "entryTooLarge" };
  if (error.maxTimestampNotSynced !== null) return retry("maxTsNotSynced");
  if (error.regionNotFound !== null || error.bucketVersionNotMatch !== null) return reload();
  if (error.readIndexNotReady !== null) return retry("regionScheduling");
  if (error.proposalInMergingMode !== null) return retry("regionScheduling");
  if (error.regionNotInitialized !== null) return retry("regionNotInitialized");
  if (error.dataIsNotReady !== null) return retry("dataNotReady");
  if (error.message.includes("Deadline is exceeded")) return nextPeer();
  if (error.message.includes("invalid max_ts update")) return { do: "fail", reason: "refused" };
  return nextPeer("regionScheduling");
}

/** Returns the name of the field that is set, or the message. For error texts. */
export function regionErrorText(error: errorpb.Error): string {
  const fields = Object.keys(error).filter((name) => name !== "message");
  const [field] = fields;
  if (field === undefined) return error.message === "" ? "unknown region error" : error.message;
  return error.message === "" ? field : `${field}: ${error.message}`;
}
