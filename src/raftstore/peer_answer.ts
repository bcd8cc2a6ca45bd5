/** Region errors that peers answer with, and the answers themselves. Pure. */
import { err } from "../base/index.js";
import type { CommandResult } from "./commands.js";
import type { PeerMsg } from "./messages.js";
import type { Peer } from "./peer.js";
import type { RegionError } from "./region.js";
import { notLeader } from "./request_check.js";

export const STALE: RegionError = { kind: "staleCommand", message: "stale command" };
export const CLOSING: RegionError = { kind: "other", message: "TiKV is Closing" };

/** The region is not here any more. */
export function regionNotFound(regionId: number): RegionError {
  const message = `region ${regionId} not found`;
  return { kind: "regionNotFound", message, regionId: BigInt(regionId) };
}

/** Too much of something waits. */
export function busy(reason: string): RegionError {
  return { kind: "serverIsBusy", message: "server is busy", reason, backoffMs: 0 };
}

/** A refusal that has only words. */
export function refusal(message: string): RegionError {
  return { kind: "other", message };
}

/** Answers everything that waits in a peer, each once. */
export function answerAll(peer: Peer, error: RegionError): void {
  const result: CommandResult<never> = err(error);
  for (const { done } of peer.writes.take()) done(result);
  for (const { done } of peer.turnReads.splice(0)) done(result);
  for (const { done } of peer.proposals.drain()) done(result);
  for (const { reads } of peer.reads.drain()) for (const { done } of reads) done(result);
  // Held commands are refused as stale: nothing else is known about them.
  peer.barrier.enterTerm(-1);
}

/** Answers the command in a message that no peer will see. */
export function answerMessage(message: PeerMsg, error: RegionError): void {
  const result: CommandResult<never> = err(error);
  if (message.kind === "write" || message.kind === "read") message.command.done(result);
  else if (message.kind === "admin") message.request.done(result);
  else if (message.kind === "splitWish") message.wish.done(result);
}

export { notLeader };
