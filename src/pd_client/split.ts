/** Splits: ids for new regions, and the report afterwards. */
import { err, ok } from "../base/index.js";
import { methodInfo, toBigInt } from "../pb/index.js";
import type { Caller } from "./caller.js";
import { regionMessage } from "./convert.js";
import type { PdReply, RegionInfo, SplitIds } from "./types.js";

const ASK_BATCH_SPLIT = methodInfo("pdpb.PD", "AskBatchSplit");
const REPORT_BATCH_SPLIT = methodInfo("pdpb.PD", "ReportBatchSplit");

/** Returns ids for `count` regions to split off `region`; refused when PD knows a newer epoch. */
export async function askBatchSplit(
  caller: Caller,
  region: RegionInfo,
  count: number,
): Promise<PdReply<readonly SplitIds[]>> {
  const message = regionMessage(region);
  const reply = await caller.call(ASK_BATCH_SPLIT, (header) => ({
    header,
    region: message,
    splitCount: count,
  }));
  if (!reply.ok) return reply;
  const ids = reply.value.ids.map(({ newPeerIds, newRegionId }) => ({
    newRegionId: toBigInt(newRegionId),
    newPeerIds: newPeerIds.map(toBigInt),
  }));
  const isWhole =
    ids.length === count && ids.every((one) => one.newPeerIds.length === region.peers.length);
  if (isWhole) return ok(ids);
  return err({ kind: "refused", message: `PD answered ids for ${ids.length} of ${count} regions` });
}

/** Tells PD which regions came out of a split, in key order. */
export async function reportBatchSplit(
  caller: Caller,
  regions: readonly RegionInfo[],
): Promise<PdReply<void>> {
  const messages = regions.map(regionMessage);
  const reply = await caller.call(REPORT_BATCH_SPLIT, (header) => ({ header, regions: messages }));
  return reply.ok ? ok(undefined) : reply;
}
