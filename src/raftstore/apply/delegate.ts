/**
 * The state machine of one region on this store: committed entries in, records of a write batch,
 * answers to proposals and results for the peer out. Every replica runs it over the same entries
 * and must come to the same state, so it decides by region, entry and apply state alone.
 * Not here: one file per command (exec_*.ts), rounds and messages (fsm/apply.ts). Hot path.
 * Source: tikv raftstore/store/fsm/apply.rs ApplyDelegate.
 */
import { assert, idToNumber } from "../../base/index.js";
import { applyStateKey } from "../../codec/index.js";
import type { WriteBatch } from "../../engine/index.js";
import { confChangeOfEntry, type Entry, EntryType } from "../../raft/index.js";
import { type Command, type CommandHeader, decodeCommand, type LoggedAdmin } from "../cmd_codec.js";
import { epochNotMatch } from "../epoch.js";
import { encodeRaftApplyState, type RaftApplyState } from "../local_state.js";
import type {
  ApplyRegistration,
  ApplyRes,
  ApplyTask,
  ExecResult,
  Proposal,
  ProposalDone,
} from "../messages.js";
import type { PendingCreates } from "../pending_create.js";
import type { RegionError, RegionInfo } from "../region.js";
import type { ApplyContext } from "./context.js";
import { execAdmin } from "./exec_admin.js";
import { execWrite } from "./exec_write.js";
import { PendingCommands } from "./pending_commands.js";
import type { ProposalResult } from "./writer.js";

/** What every delegate of a store needs. */
export interface DelegateDeps {
  readonly storeId: bigint;
  /** Regions whose peer is being made here. */
  readonly creates: PendingCreates;
  /** Whether the engine holds a region state of this id, a tombstone too. */
  hasRegionState(regionId: bigint): boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Entries of one turn, beside the bytes that they write: entries may write next to nothing. */
const TURN_ENTRIES_MAX = 1024;
const NOTHING_CHANGED: ProposalResult = { ok: true, regions: [] };
/** The answer to proposals whose place in the log went to another entry. */
export const STALE_COMMAND: ProposalResult = {
  ok: false,
  error: { kind: "staleCommand", message: "stale command" },
};

/** Returns the answer to proposals of a region that leaves this store. */
export function regionRemoved(regionId: number): ProposalResult {
  return {
    ok: false,
    error: {
      kind: "regionNotFound",
      message: `region ${regionId} not found`,
      regionId: BigInt(regionId),
    },
  };
}

export class ApplyDelegate {
  readonly regionId: number;
  readonly peerId: number;
  readonly deps: DelegateDeps;
  #region: RegionInfo;
  /** The region's version, for the check of every write. */
  #version: number;
  /** Regions that split off from this one last; told to who asks for an older version. */
  #siblings: readonly RegionInfo[] = [];
  readonly #applyState: Mutable<RaftApplyState>;
  readonly #applyStateKey: Uint8Array;
  #appliedTerm: number;
  readonly #pending = new PendingCommands();
  /** The task under way, from `#next` on. */
  #entries: readonly Entry[] = [];
  #next = 0;
  #results: ExecResult[] = [];
  #writtenBytes = 0;
  #writtenKeys = 0;
  #removed = false;

  constructor(registration: ApplyRegistration, deps: DelegateDeps) {
    const { region, applyState } = registration;
    assert(registration.regionId === idToNumber(region.id), "a delegate applies its own region");
    assert(applyState.truncatedIndex <= applyState.appliedIndex, "only what is applied is cut off");
    this.regionId = registration.regionId;
    this.peerId = registration.peerId;
    this.deps = deps;
    this.#region = region;
    this.#version = idToNumber(region.version);
    this.#applyState = { ...applyState };
    this.#applyStateKey = applyStateKey(region.id);
    this.#appliedTerm = registration.appliedTerm;
  }

  get region(): RegionInfo {
    return this.#region;
  }

  get applyState(): RaftApplyState {
    return { ...this.#applyState };
  }

  /** Term of the entry at the applied index. */
  get appliedTerm(): number {
    return this.#appliedTerm;
  }

  /** Whether an entry removed this peer from its region: nothing is applied any more. */
  get removed(): boolean {
    return this.#removed;
  }

  /** Whether entries of the last task wait. */
  get hasEntries(): boolean {
    return this.#next < this.#entries.length;
  }

  /** Takes a task; the one before is finished. */
  take(task: ApplyTask): void {
    assert(!this.hasEntries, "one task at a time");
    assert(task.regionId === this.regionId, "a task reaches its region");
    this.#pending.push(task.proposals);
    const last = task.entries[task.entries.length - 1];
    if (last === undefined) return;
    assert(last.index <= task.commitIndex, "only committed entries are applied");
    assert(task.commitIndex >= this.#applyState.commitIndex, "the commit index never goes back");
    this.#applyState.commitIndex = task.commitIndex;
    this.#applyState.commitTerm = task.commitTerm;
    this.#entries = task.entries;
    this.#next = 0;
  }

  /**
   * Applies entries until none is left or `shareBytes` were written in this turn; returns whether
   * none is left. What was applied counts when the context's batch is written.
   */
  run(ctx: ApplyContext, shareBytes: number): boolean {
    const startBytes = this.#writtenBytes;
    const stop = Math.min(this.#entries.length, this.#next + TURN_ENTRIES_MAX);
    while (this.#next < stop && !this.#removed) {
      this.#apply(this.#entries[this.#next++] as Entry, ctx);
      if (this.#writtenBytes - startBytes >= shareBytes) break;
    }
    if (this.hasEntries && !this.#removed) return false;
    this.#entries = [];
    this.#next = 0;
    return true;
  }

  /** Answers what waits with `result`, and forgets entries that are not applied yet. */
  stop(result: ProposalResult): readonly { done: ProposalDone; result: ProposalResult }[] {
    this.#entries = [];
    this.#next = 0;
    return this.#pending.drain().map(({ done }) => ({ done, result }));
  }

  /** Appends the record of the apply state. */
  writeApplyState(batch: WriteBatch): void {
    batch.put("raft", this.#applyStateKey, encodeRaftApplyState(this.#applyState));
  }

  /** Returns what was applied since the last result. */
  takeResult(): ApplyRes {
    const result: ApplyRes = {
      regionId: this.regionId,
      peerId: this.peerId,
      applyState: { ...this.#applyState },
      appliedTerm: this.#appliedTerm,
      results: this.#results,
      writtenBytes: this.#writtenBytes,
      writtenKeys: this.#writtenKeys,
    };
    this.#results = [];
    this.#writtenBytes = 0;
    this.#writtenKeys = 0;
    return result;
  }

  /** For exec functions: counts records and bytes of a write. */
  countWritten(keys: number, bytes: number): void {
    this.#writtenKeys += keys;
    this.#writtenBytes += bytes;
  }

  #apply(entry: Entry, ctx: ApplyContext): void {
    assert(
      entry.index === this.#applyState.appliedIndex + 1 && entry.term >= this.#appliedTerm,
      "entries are applied one after the other, in ascending terms",
    );
    this.#applyState.appliedIndex = entry.index;
    this.#appliedTerm = entry.term;
    ctx.touch(this);
    ctx.metrics.entries++;
    const proposal = this.#pending.take(entry.index, entry.term, (lost) => this.#stale(lost, ctx));
    const before = this.#region;
    const result = this.#exec(entry, ctx);
    if (proposal !== undefined) ctx.answer(proposal.done, result);
    // The peer learns of its new region before more is applied.
    if (this.#region !== before) ctx.flush();
  }

  #exec(entry: Entry, ctx: ApplyContext): ProposalResult {
    if (entry.type !== EntryType.Normal) return this.#execConfChange(entry, ctx);
    if (entry.data.length === 0) {
      // A leader has begun its term: what was proposed in older terms and is not in the log by now
      // never will be.
      this.#pending.takeOlderTerms(entry.term, (lost) => this.#stale(lost, ctx));
      return NOTHING_CHANGED;
    }
    const command = this.#decode(entry.data);
    if (command.kind === "admin") {
      assert(command.command.kind !== "changePeer", "a change of peers is a membership entry");
      return this.#execAdmin(entry, command, ctx);
    }
    if (command.header.version !== this.#version) {
      ctx.metrics.epochNotMatch++;
      return { ok: false, error: this.#epochNotMatch(command.header) };
    }
    execWrite(this, command.data, ctx);
    return NOTHING_CHANGED;
  }

  #execConfChange(entry: Entry, ctx: ApplyContext): ProposalResult {
    const change = confChangeOfEntry(entry);
    assert(change !== undefined, "a membership entry holds a change");
    const command = this.#decode(change.context);
    assert(
      command.kind === "admin" && command.command.kind === "changePeer",
      "the context of a membership entry is its command",
    );
    const answer = this.#execAdmin(entry, command, ctx);
    if (!answer.ok) {
      const region = this.#region;
      const { index } = entry;
      this.#results.push({ kind: "changePeer", index, changed: false, region, entry });
    }
    return answer;
  }

  #execAdmin(
    entry: Entry,
    { header, command }: { readonly header: CommandHeader; readonly command: LoggedAdmin },
    ctx: ApplyContext,
  ): ProposalResult {
    const outcome = execAdmin({
      region: this.#region,
      siblings: this.#siblings,
      peerId: this.peerId,
      truncatedIndex: this.#applyState.truncatedIndex,
      entry,
      header,
      command,
      states: ctx.states,
      deps: this.deps,
      metrics: ctx.metrics,
    });
    if (!outcome.ok) return { ok: false, error: outcome.error };
    const { region, siblings, removed, result } = outcome.value;
    if (region !== undefined) {
      this.#region = region;
      this.#version = idToNumber(region.version);
    }
    if (siblings !== undefined) this.#siblings = siblings;
    if (removed === true) this.#removed = true;
    if (result !== undefined) this.#onResult(result);
    return { ok: true, regions: outcome.value.regions };
  }

  #onResult(result: ExecResult): void {
    this.#results.push(result);
    if (result.kind !== "compactLog") return;
    this.#applyState.truncatedIndex = result.truncatedIndex;
    this.#applyState.truncatedTerm = result.truncatedTerm;
  }

  #decode(bytes: Uint8Array): Command {
    const command = decodeCommand(bytes);
    assert(command.header.regionId === this.regionId, "an entry belongs to its region's log");
    return command;
  }

  #epochNotMatch({ confVer, version }: CommandHeader): RegionError {
    const from = { confVer: BigInt(confVer), version: BigInt(version) };
    return epochNotMatch(from, this.#region, version < this.#version ? this.#siblings : []);
  }

  #stale(proposal: Proposal, ctx: ApplyContext): void {
    ctx.metrics.stale++;
    ctx.answer(proposal.done, STALE_COMMAND);
  }
}
