/**
 * Applies admin commands: checks the epoch that the proposer had, runs the command's exec function
 * and asserts that the epoch moved as the rules say. A refusal changes nothing but the applied
 * index. Source: tikv raftstore/store/fsm/apply.rs exec_admin_cmd.
 */
import { assert, err, type Result } from "../../base/index.js";
import type { WriteBatch } from "../../engine/index.js";
import type { Entry } from "../../raft/index.js";
import type { CommandHeader, LoggedAdmin } from "../cmd_codec.js";
import { checkEpoch, EPOCH_RULES } from "../epoch.js";
import type { ExecResult } from "../messages.js";
import type { RegionError, RegionInfo } from "../region.js";
import type { DelegateDeps } from "./delegate.js";
import { execCompactLog } from "./exec_compact_log.js";
import { execConfChange } from "./exec_conf_change.js";
import { execSplit } from "./exec_split.js";
import type { ApplyMetrics } from "./metrics.js";

/** What exec functions see. They read the first part and append to `states` when they succeed. */
export interface ExecInput<C extends LoggedAdmin = LoggedAdmin> {
  readonly region: RegionInfo;
  /** Regions that split off last. */
  readonly siblings: readonly RegionInfo[];
  readonly peerId: number;
  readonly truncatedIndex: number;
  readonly entry: Entry;
  readonly header: CommandHeader;
  readonly command: C;
  readonly deps: DelegateDeps;
  readonly metrics: ApplyMetrics;
  readonly states: WriteBatch;
}

/** What a command did. Absent parts have not changed. */
export interface ExecDone {
  /** For the proposer: regions that were made or changed, in key order. */
  readonly regions: readonly RegionInfo[];
  readonly region?: RegionInfo;
  readonly siblings?: readonly RegionInfo[];
  /** Whether this peer is no longer a member. */
  readonly removed?: boolean;
  /** For the peer. */
  readonly result?: ExecResult;
}

export type ExecOutcome = Result<ExecDone, RegionError>;

/** Returns the refusal of a command that makes no sense for the region as it is. */
export function refused(message: string): { readonly ok: false; readonly error: RegionError } {
  return err({ kind: "other", message });
}

/** Applies one admin command; nothing was appended to `states` if it is refused. */
export function execAdmin(input: ExecInput): ExecOutcome {
  const { command, region, header, metrics } = input;
  const counts = metrics.admin[command.kind];
  counts.all++;
  const from = { confVer: BigInt(header.confVer), version: BigInt(header.version) };
  const siblings = from.version < region.version ? input.siblings : [];
  const stale = checkEpoch(command.kind, from, region, siblings);
  if (stale !== undefined) {
    metrics.epochNotMatch++;
    return err(stale);
  }
  const outcome = dispatch(input);
  if (outcome.ok) {
    counts.success++;
    if (outcome.value.region !== undefined) assertEpoch(command, region, outcome.value.region);
  }
  return outcome;
}

function dispatch(input: ExecInput): ExecOutcome {
  const { command } = input;
  switch (command.kind) {
    case "changePeer":
      return execConfChange({ ...input, command });
    case "split":
      return execSplit({ ...input, command });
    case "compactLog":
      return execCompactLog({ ...input, command });
  }
}

function assertEpoch(command: LoggedAdmin, before: RegionInfo, after: RegionInfo): void {
  const rule = EPOCH_RULES[command.kind];
  const moved = (by: bigint, may: boolean): boolean => (may ? by > 0n : by === 0n);
  assert(
    moved(after.confVer - before.confVer, rule.changesConfVer) &&
      moved(after.version - before.version, rule.changesVersion),
    "a command moves the epoch as its rule says",
  );
}
