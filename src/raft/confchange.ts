/**
 * Membership arithmetic: from members and a change to new members, or the reason why not. Never
 * changes its input. Not here: when a change may be proposed (step_leader), what follows from one
 * (raft).
 *
 * Simple changes touch one voter, so that old and new majorities overlap. All others pass through a
 * joint configuration, in which both halves must agree. Source: raft §6, dissertation §4.
 */
import { assert, err, ok, type Result } from "../base/index.js";
import type { Progress } from "./progress.js";
import type { ProgressFactory, TrackerConfig } from "./tracker.js";
import {
  type ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeV2,
  NONE,
} from "./types.js";

export interface Members {
  readonly config: TrackerConfig;
  readonly progress: ReadonlyMap<number, Progress>;
}

export interface ChangedMembers {
  readonly config: TrackerConfig;
  readonly progress: Map<number, Progress>;
}

export interface ConfChangeContext {
  readonly newProgress: ProgressFactory;
  /** New members are probed from here. */
  readonly lastIndex: number;
}

export type ConfChangeError =
  | "config is already joint"
  | "can't make a zero-voter config joint"
  | "can't leave a non-joint config"
  | "can't apply simple config change in joint config"
  | "more than one voter changed without entering joint config"
  | "removed all voters";

export type ConfChangeResult = Result<ChangedMembers, ConfChangeError>;

/** A change in the making. Progress objects are copied before the first write to them. */
class Draft {
  readonly voters: Set<number>;
  readonly outgoing: Set<number>;
  readonly learners: Set<number>;
  readonly learnersNext: Set<number>;
  readonly progress = new Map<number, Progress>();

  constructor(
    members: Members,
    private readonly context: ConfChangeContext,
  ) {
    this.voters = new Set(members.config.voters);
    this.outgoing = new Set(members.config.votersOutgoing);
    this.learners = new Set(members.config.learners);
    this.learnersNext = new Set(members.config.learnersNext);
    for (const [id, progress] of members.progress) this.progress.set(id, progress.copy());
  }

  /** Applies the changes to the incoming half; id 0 is how a proposer says "no change". */
  apply(changes: readonly ConfChangeSingle[]): ConfChangeError | null {
    for (const change of changes) {
      if (change.id === NONE) continue;
      if (change.type === ConfChangeType.AddNode) this.makeVoter(change.id);
      else if (change.type === ConfChangeType.AddLearnerNode) this.makeLearner(change.id);
      else this.remove(change.id);
    }
    return this.voters.size === 0 ? "removed all voters" : null;
  }

  finish(autoLeave: boolean): ChangedMembers {
    const config: TrackerConfig = {
      voters: sorted(this.voters),
      votersOutgoing: sorted(this.outgoing),
      learners: sorted(this.learners),
      learnersNext: sorted(this.learnersNext),
      autoLeave,
    };
    const progress = new Map([...this.progress].sort((a, b) => a[0] - b[0]));
    assertMembers(config, progress);
    return { config, progress };
  }

  private makeVoter(id: number): void {
    const progress = this.progress.get(id) ?? this.add(id, false);
    progress.isLearner = false;
    this.learners.delete(id);
    this.learnersNext.delete(id);
    this.voters.add(id);
  }

  private makeLearner(id: number): void {
    const progress = this.progress.get(id) ?? this.add(id, true);
    this.voters.delete(id);
    // Who still votes in the outgoing half becomes a learner when that half is left.
    if (this.outgoing.has(id)) {
      this.learnersNext.add(id);
    } else {
      progress.isLearner = true;
      this.learners.add(id);
    }
  }

  private remove(id: number): void {
    this.voters.delete(id);
    this.learners.delete(id);
    this.learnersNext.delete(id);
    if (!this.outgoing.has(id)) this.progress.delete(id);
  }

  private add(id: number, isLearner: boolean): Progress {
    const progress = this.context.newProgress(Math.max(this.context.lastIndex, 1), isLearner);
    // Else a new member counts as absent in the very next check of the quorum.
    progress.recentActive = true;
    this.progress.set(id, progress);
    return progress;
  }
}

/** Enters a joint configuration: the voters become the outgoing half, the changes go to the other. */
export function enterJoint(
  members: Members,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
  context: ConfChangeContext,
): ConfChangeResult {
  if (isJoint(members)) return err("config is already joint");
  if (members.config.voters.length === 0) return err("can't make a zero-voter config joint");
  const draft = new Draft(members, context);
  for (const id of draft.voters) draft.outgoing.add(id);
  const problem = draft.apply(changes);
  return problem === null ? ok(draft.finish(autoLeave)) : err(problem);
}

/** Leaves a joint configuration: the outgoing half goes, its demoted voters are learners now. */
export function leaveJoint(members: Members, context: ConfChangeContext): ConfChangeResult {
  if (!isJoint(members)) return err("can't leave a non-joint config");
  const draft = new Draft(members, context);
  for (const id of draft.learnersNext) {
    draft.learners.add(id);
    const progress = draft.progress.get(id);
    assert(progress !== undefined, "a learner to be has progress");
    progress.isLearner = true;
  }
  draft.learnersNext.clear();
  for (const id of draft.outgoing) {
    if (!draft.voters.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
  }
  draft.outgoing.clear();
  return ok(draft.finish(false));
}

/** Applies changes that touch one voter at most. */
export function simpleChange(
  members: Members,
  changes: readonly ConfChangeSingle[],
  context: ConfChangeContext,
): ConfChangeResult {
  if (isJoint(members)) return err("can't apply simple config change in joint config");
  const draft = new Draft(members, context);
  const problem = draft.apply(changes);
  if (problem !== null) return err(problem);
  const before = new Set(members.config.voters);
  let changed = 0;
  for (const id of before) if (!draft.voters.has(id)) changed++;
  for (const id of draft.voters) if (!before.has(id)) changed++;
  if (changed > 1) return err("more than one voter changed without entering joint config");
  return ok(draft.finish(false));
}

/** Returns whether the change leaves a joint configuration. */
export function leavesJoint(change: ConfChangeV2): boolean {
  return change.transition === ConfChangeTransition.Auto && change.changes.length === 0;
}

/** Applies a committed or proposed change in the way that its transition and size ask for. */
export function applyChange(
  members: Members,
  change: ConfChangeV2,
  context: ConfChangeContext,
): ConfChangeResult {
  if (leavesJoint(change)) return leaveJoint(members, context);
  if (change.transition === ConfChangeTransition.Auto && change.changes.length <= 1)
    return simpleChange(members, change.changes, context);
  const autoLeave = change.transition !== ConfChangeTransition.Explicit;
  return enterJoint(members, autoLeave, change.changes, context);
}

function isJoint(members: Members): boolean {
  return members.config.votersOutgoing.length > 0;
}

function sorted(ids: Set<number>): number[] {
  return [...ids].sort((a, b) => a - b);
}

function assertMembers(config: TrackerConfig, progress: ReadonlyMap<number, Progress>): void {
  const { voters, votersOutgoing, learners, learnersNext } = config;
  const all = new Set([...voters, ...votersOutgoing, ...learners, ...learnersNext]);
  assert(all.size === progress.size, "progress holds exactly the members");
  for (const id of all) assert(progress.has(id), "each member has progress");
  for (const id of learners) {
    assert(!voters.includes(id) && !votersOutgoing.includes(id), "a learner does not vote");
    assert(progress.get(id)?.isLearner === true, "a learner's progress says so");
  }
  for (const id of learnersNext)
    assert(votersOutgoing.includes(id) && !voters.includes(id), "learners to be vote outgoing");
  assert(votersOutgoing.length > 0 || learnersNext.length === 0, "only joint has learners to be");
  assert(votersOutgoing.length > 0 || !config.autoLeave, "only joint leaves by itself");
}
