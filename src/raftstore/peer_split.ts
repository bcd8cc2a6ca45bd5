/** Wishes to split and orders of PD's, on their way to becoming commands of the region. */
import { err } from "../base/index.js";
import type { SplitWish } from "./commands.js";
import type { SplitCheckResult } from "./messages.js";
import { messageOfOrder } from "./pd_order.js";
import type { RegionOrder } from "./pd_port.js";
import type { Peer } from "./peer.js";
import { notLeader } from "./peer_answer.js";
import type { PeerContext } from "./peer_context.js";
import { proposeAdmin } from "./peer_propose.js";
import { checkSplitKeys } from "./propose_admin.js";

/** Carries out what PD orders, for the epoch that PD knew; a refusal ends in the log. */
export function onOrder(peer: Peer, ctx: PeerContext, order: RegionOrder): void {
  const message = messageOfOrder(order, peer, (result) => {
    if (result.ok) return;
    const fields = { region_id: peer.regionId, err: result.error.message };
    ctx.logger.info("an order of pd's was not carried out", fields);
  });
  if (message?.kind === "admin") proposeAdmin(peer, ctx, message.request);
  else if (message !== undefined) onSplitWish(peer, ctx, message.wish);
}

/** Passes a wish on, unless it is out of date. */
export function onSplitWish(peer: Peer, ctx: PeerContext, wish: SplitWish): void {
  if (!peer.isLeader) {
    wish.done(err(notLeader(peer)));
    return;
  }
  const problem = checkSplitKeys(peer.region, wish, wish.splitKeys);
  if (problem !== undefined) {
    wish.done(err(problem));
    return;
  }
  if (wish.splitKeys.length === 0) ctx.store.halve(peer, wish);
  else ctx.store.askSplit(peer, wish);
}

/** A look at the region's size has ended. */
export function onSplitChecked(peer: Peer, ctx: PeerContext, result: SplitCheckResult): void {
  const { confVer, version } = peer.region;
  const splitKeys = peer.split.onChecked(result, version);
  if (splitKeys.length === 0) return;
  const done: SplitWish["done"] = (outcome) => {
    if (!outcome.ok) peer.split.onSplitFailed();
  };
  onSplitWish(peer, ctx, { confVer, version, splitKeys, reason: "size", done });
}
