/** Quorum arithmetic against twins that try every subset, and membership arithmetic as properties. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { applyChange, type ChangedMembers } from "../../../src/raft/confchange.js";
import { restoreMembers } from "../../../src/raft/confchange_restore.js";
import { jointCommitted, jointVote, majorityCommitted } from "../../../src/raft/quorum.js";
import { progressFactory } from "../../../src/raft/tracker.js";
import { type ConfChangeV2, EMPTY_CONF_STATE } from "../../../src/raft/types.js";

const RUNS = { seed: 42, numRuns: 300 };
const ID = fc.integer({ min: 1, max: 7 });
const VOTERS = fc.uniqueArray(ID, { maxLength: 5 });
const INDEXES = fc.dictionary(ID.map(String), fc.integer({ min: 0, max: 9 }));
const VOTES = fc.dictionary(ID.map(String), fc.boolean());

/** All subsets that are more than half. */
function majorities(voters: readonly number[]): number[][] {
  const found: number[][] = [];
  for (let bits = 0; bits < 1 << voters.length; bits++) {
    const subset = voters.filter((_, i) => (bits >> i) & 1);
    if (subset.length * 2 > voters.length) found.push(subset);
  }
  return found;
}

function dumbCommitted(voters: readonly number[], of: (id: number) => number): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  return Math.max(...majorities(voters).map((subset) => Math.min(...subset.map(of))));
}

/** Won if some majority said yes; lost if every majority holds a no. */
function dumbVote(voters: readonly number[], of: (id: number) => boolean | undefined): string {
  if (voters.length === 0) return "won";
  const subsets = majorities(voters);
  if (subsets.some((subset) => subset.every((id) => of(id) === true))) return "won";
  return subsets.every((subset) => subset.some((id) => of(id) === false)) ? "lost" : "pending";
}

test("committed index equals that of the subset twin", () => {
  fc.assert(
    fc.property(VOTERS, VOTERS, INDEXES, (incoming, outgoing, indexes) => {
      const of = (id: number): number => indexes[String(id)] ?? 0;
      assert.is(majorityCommitted(incoming, of), dumbCommitted(incoming, of));
      const joint = Math.min(dumbCommitted(incoming, of), dumbCommitted(outgoing, of));
      assert.is(jointCommitted(incoming, outgoing, of), joint);
    }),
    RUNS,
  );
});

test("vote result equals that of the subset twin", () => {
  fc.assert(
    fc.property(VOTERS, VOTERS, VOTES, (incoming, outgoing, votes) => {
      const of = (id: number): boolean | undefined => votes[String(id)];
      const halves = [dumbVote(incoming, of), dumbVote(outgoing, of)];
      const expected = halves.includes("lost")
        ? "lost"
        : halves.includes("pending")
          ? "pending"
          : "won";
      assert.is(jointVote(incoming, outgoing, of), expected);
    }),
    RUNS,
  );
});

const CHANGE: fc.Arbitrary<ConfChangeV2> = fc.record({
  transition: fc.constantFrom(0, 1, 2),
  changes: fc.array(fc.record({ type: fc.constantFrom(0, 1, 2), id: ID }), { maxLength: 4 }),
  context: fc.constant(new Uint8Array(0)),
});

test("every reachable membership restores to itself, and steps keep quorums overlapping", () => {
  let accepted = 0;
  let joint = 0;
  fc.assert(
    fc.property(fc.array(CHANGE, { maxLength: 12 }), (changes) => {
      const context = { newProgress: progressFactory(4, 0), lastIndex: 9 };
      const start = { ...EMPTY_CONF_STATE, voters: [1, 2, 3] };
      let members: ChangedMembers = restoreMembers(start, context);
      for (const change of changes) {
        const before = members.config;
        const result = applyChange(members, change, context);
        if (!result.ok) continue;
        members = result.value;
        accepted++;
        const after = members.config;
        if (after.votersOutgoing.length > 0) joint++;
        const restored = restoreMembers(after, context);
        assert.equal(restored.config, after);
        assert.equal([...restored.progress.keys()], [...members.progress.keys()]);
        for (const a of quorums(before.voters, before.votersOutgoing)) {
          for (const b of quorums(after.voters, after.votersOutgoing))
            assert.ok(
              a.some((id) => b.includes(id)),
              "old and new quorums share a peer",
            );
        }
      }
    }),
    { seed: 42, numRuns: 100 },
  );
  assert.ok(accepted > 100 && joint > 50, `accepted ${accepted}, joint ${joint}`);
});

/** Minimal sets that are majorities of both halves. */
function quorums(incoming: readonly number[], outgoing: readonly number[]): number[][] {
  const all = [...new Set([...incoming, ...outgoing])];
  const found: number[][] = [];
  for (let bits = 0; bits < 1 << all.length; bits++) {
    const subset = all.filter((_, i) => (bits >> i) & 1);
    const wins = jointVote(incoming, outgoing, (id) => subset.includes(id));
    const minimal = subset.every(
      (gone) => jointVote(incoming, outgoing, (id) => id !== gone && subset.includes(id)) !== "won",
    );
    if (wins === "won" && minimal) found.push(subset);
  }
  return found;
}

test.run();
