/**
 * The rules of the Raft paper (§5.1 to §5.4, §6, §7, §8) and of membership changes, one named test
 * each. Steps are played with the verbs of the golden scripts; what must hold is asserted here.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type Message,
  MessageType,
  newMessage,
  type RaftStatus,
  Role,
} from "../../../src/raft/index.js";
import { Env } from "../../golden/raft/env.js";
import { play } from "../../golden/raft/verbs.js";

const PLAIN = "add-peers voters=(1,2,3) pre-vote=false check-quorum=false";

/** A group in which nobody leads yet. */
function group(line = PLAIN): Env {
  const env = new Env();
  play(env, line);
  return env;
}

/** A group that peer 1 leads, in term 6, with entry 6 committed. */
function led(line = PLAIN): Env {
  const env = group(line);
  play(env, "campaign 1", "stabilize");
  return env;
}

function status(env: Env, id: number): RaftStatus {
  return env.peer(id).node.status();
}

/** Steps a message and returns what peer `to` sends for it. */
function send(env: Env, type: MessageType, from: number, to: number, fields: Partial<Message>) {
  const before = env.flying.length;
  env.deliver({ ...newMessage(type, to), from, ...fields });
  return env.flying.slice(before);
}

test("§5.1 a higher term makes anyone a follower of that term", () => {
  const env = led();
  send(env, MessageType.Append, 2, 1, { term: 9, index: 6, logTerm: 6 });
  const { role, term, leader } = status(env, 1);
  assert.equal([role, term, leader], [Role.Follower, 9, 2]);
});

test("§5.1 a message of an old term changes nothing", () => {
  const env = led();
  const data = new Uint8Array(0);
  const entry = { type: 0, term: 5, index: 6, data, context: data } as const;
  const fields = { term: 5, index: 5, logTerm: 5, entries: [entry] } as const;
  assert.equal(send(env, MessageType.Append, 3, 2, fields), []);
  assert.equal([status(env, 2).term, status(env, 2).lastIndex], [6, 6]);
});

test("§5.1 a vote of an old term is not given", () => {
  const env = led();
  const request = { term: 5, index: 99, logTerm: 5 };
  assert.equal(send(env, MessageType.RequestVote, 3, 2, request), []);
});

test("§5.2 peers start as followers, in the term that they stored", () => {
  const env = group();
  for (const id of [1, 2, 3]) assert.equal([status(env, id).role, status(env, id).term], [0, 5]);
});

test("§5.2 a leader sends heartbeats to all at its interval", () => {
  const env = led();
  play(env, "tick 1");
  assert.is(env.flying.length, 0);
  play(env, "tick 1");
  const sent = env.flying.map(({ type, to }) => [type, to]);
  assert.equal(sent, [
    [MessageType.Heartbeat, 2],
    [MessageType.Heartbeat, 3],
  ]);
});

test("§5.2 a follower that hears nobody for an election timeout campaigns in a new term", () => {
  const env = group();
  play(env, "tick 2 count=10");
  assert.is(status(env, 2).role, Role.Follower);
  play(env, "tick 2");
  const { role, term, vote } = status(env, 2);
  assert.equal([role, term, vote], [Role.Candidate, 6, 2]);
  assert.equal(
    env.flying.map(({ type, to, term: asked }) => [type, to, asked]),
    [
      [MessageType.RequestVote, 1, 6],
      [MessageType.RequestVote, 3, 6],
    ],
  );
});

test("§5.2 a vote resets the voter's election timeout", () => {
  const env = group();
  play(env, "tick 2 count=9", "campaign 1", "deliver to=2", "tick 2 count=10");
  assert.is(status(env, 2).role, Role.Follower);
});

test("§5.2 a majority of votes makes a leader, fewer do not", () => {
  for (const [voters, needed] of [
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 2],
  ] as const) {
    const ids = [...Array(voters).keys()].map((i) => i + 1);
    const env = group(`add-peers voters=(${ids}) pre-vote=false check-quorum=false`);
    play(env, "campaign 1");
    for (let given = 0; given < needed; given++) {
      assert.is(status(env, 1).role, Role.Candidate, `${given} of ${voters}`);
      send(env, MessageType.RequestVoteResponse, given + 2, 1, { term: 6 });
    }
    assert.is(status(env, 1).role, Role.Leader, `${needed} of ${voters}`);
  }
});

test("§5.2 a peer votes once a term, first come first served, and again for the same one", () => {
  const env = group();
  const request = { term: 6, index: 5, logTerm: 5 };
  const ask = (from: number) => send(env, MessageType.RequestVote, from, 3, request)[0]?.reject;
  assert.equal([ask(1), ask(2), ask(1)], [false, true, false]);
});

test("§5.2 a candidate that hears a leader of its term follows it", () => {
  for (const type of [MessageType.Append, MessageType.Heartbeat]) {
    const env = group();
    play(env, "campaign 1");
    send(env, type, 2, 1, { term: 6, index: 5, logTerm: 5 });
    assert.equal([status(env, 1).role, status(env, 1).leader], [Role.Follower, 2]);
  }
});

test("§5.2 a candidate without outcome campaigns again in a new term", () => {
  const env = group();
  play(env, "campaign 1", "tick 1 count=10");
  assert.equal([status(env, 1).role, status(env, 1).term], [Role.Candidate, 7]);
});

test("§5.3 a leader replicates, commits with a majority, and tells the followers", () => {
  const env = led();
  play(env, "propose 1 data=x");
  assert.is(status(env, 1).committed, 6);
  play(env, "deliver to=2", "deliver to=1");
  assert.is(status(env, 1).committed, 7, "leader and one follower are a majority");
  assert.is(status(env, 2).committed, 6);
  play(env, "stabilize");
  for (const id of [1, 2, 3]) assert.is(env.peer(id).applied, 7);
});

test("§5.3 committing an entry commits those before it, of earlier leaders too", () => {
  const env = led();
  play(env, "propose 1 data=x", "deliver to=2", "drop", "crash 1", "campaign 2");
  play(env, "stabilize without=(1)");
  assert.is(env.peer(3).applied, 8);
  assert.equal([env.peer(3).storage.term(7), env.peer(3).storage.term(8)], [6, 7]);
});

test("§5.3 a follower refuses entries whose predecessor it does not have", () => {
  for (const [logTerm, index] of [
    [6, 7],
    [7, 6],
  ] as const) {
    const env = led();
    const [answer] = send(env, MessageType.Append, 1, 2, { term: 6, index, logTerm });
    assert.equal([answer?.reject, answer?.index], [true, index]);
  }
});

test("§5.3 conflicting entries are removed with all that follow; matching ones stay", () => {
  const env = led();
  play(env, "propose 1 data=x count=3", "deliver to=2");
  play(env, "drop", "tick 2", "crash 1", "campaign 3", "drop", "campaign 3");
  play(env, "drop");
  assert.is(status(env, 2).lastIndex, 9);
  const data = new Uint8Array(0);
  const entry = (term: number, index: number) =>
    ({ type: 0, term, index, data, context: data }) as const;
  const fields = { term: 8, index: 6, logTerm: 6, entries: [entry(6, 7), entry(8, 8)] };
  send(env, MessageType.Append, 3, 2, fields);
  assert.equal([6, 7, 8, 9].map((i) => env.peer(2).storage.term(i)).slice(0, 3), [6, 6, 8]);
  assert.is(status(env, 2).lastIndex, 8);
  const shorter = { term: 8, index: 6, logTerm: 6, entries: [entry(6, 7)] };
  send(env, MessageType.Append, 3, 2, shorter);
  assert.is(status(env, 2).lastIndex, 8, "a late shorter append removes nothing");
});

test("§5.3 a leader never changes or removes its own entries", () => {
  const env = led();
  play(env, "propose 1 data=x");
  const data = new Uint8Array(1);
  const entries = [{ type: 0, term: 6, index: 7, data, context: data }] as const;
  send(env, MessageType.Append, 2, 1, { term: 6, index: 6, logTerm: 6, entries });
  assert.equal([status(env, 1).role, status(env, 1).lastIndex], [Role.Leader, 7]);
});

test("§5.3 a follower commits up to the leader's commit or its last new entry, whichever is less", () => {
  const env = led();
  const data = new Uint8Array(0);
  const entries = [{ type: 0, term: 6, index: 7, data, context: data }] as const;
  send(env, MessageType.Append, 1, 2, { term: 6, index: 6, logTerm: 6, entries, commit: 99 });
  assert.is(status(env, 2).committed, 7);
});

test("§5.3 a leader goes back in a follower's log until the two agree", () => {
  const env = led();
  play(env, "propose 1 data=x count=5", "drop", "crash 1", "campaign 2", "stabilize without=(1)");
  play(env, "propose 2 data=y", "stabilize without=(1)", "restart 1", "tick 2 count=2");
  play(env, "stabilize");
  const terms = (id: number) => [6, 7, 8].map((index) => env.peer(id).storage.term(index));
  assert.equal(terms(1), [6, 7, 7]);
  assert.is(env.peer(1).state.digest, env.peer(2).state.digest);
});

test("§5.4.1 votes go to logs at least as complete: last term first, then length", () => {
  for (const [logTerm, index, granted] of [
    [6, 6, true],
    [6, 7, true],
    [7, 5, true],
    [6, 5, false],
    [5, 99, false],
  ] as const) {
    const env = led();
    const [answer] = send(env, MessageType.RequestVote, 3, 2, { term: 9, index, logTerm });
    assert.is(answer?.reject, !granted, `${logTerm}/${index}`);
  }
});

test("§5.4.2 only entries of the own term are committed by counting", () => {
  const env = group();
  play(env, "campaign 1", "deliver to=2", "deliver to=1", "propose 1 data=old", "drop");
  // Term 8: peer 1 leads again; its old entries 6 and 7 reach a majority before its new one.
  play(env, "campaign 2", "drop", "campaign 2", "drop", "crash 1", "restart 1");
  send(env, MessageType.RequestVote, 2, 1, { term: 7, index: 0, logTerm: 0 });
  play(env, "drop", "campaign 1");
  assert.is(status(env, 1).term, 8);
  send(env, MessageType.RequestVoteResponse, 3, 1, { term: 8 });
  assert.equal([status(env, 1).role, status(env, 1).lastIndex], [Role.Leader, 8]);
  send(env, MessageType.AppendResponse, 3, 1, { term: 8, index: 7 });
  assert.is(status(env, 1).committed, 5, "entries of term 6 on a majority are not committed");
  send(env, MessageType.AppendResponse, 3, 1, { term: 8, index: 8 });
  assert.is(status(env, 1).committed, 8, "the entry of term 8 commits all");
});

test("§5.4.3 a new leader has every committed entry", () => {
  const env = led();
  play(env, "propose 1 data=x", "deliver to=2", "deliver to=1", "drop", "crash 1");
  play(env, "campaign 3", "stabilize without=(1)");
  assert.is.not(status(env, 3).role, Role.Leader);
  play(env, "campaign 2", "stabilize without=(1)");
  assert.is(status(env, 2).role, Role.Leader);
  assert.is(env.peer(3).storage.term(7), 6);
});

test("§6 a disruptive peer does not depose a leader that is heard", () => {
  const env = led("add-peers voters=(1,2,3) pre-vote=false");
  play(env, "tick 3 count=12", "stabilize");
  assert.equal([status(env, 1).role, status(env, 1).term, status(env, 3).term], [3, 6, 7]);
});

test("§6 the lease of votes outlives a change of term", () => {
  const env = led("add-peers voters=(1,2,3)");
  send(env, MessageType.RequestPreVoteResponse, 3, 2, { term: 7, reject: true });
  assert.equal([status(env, 2).term, status(env, 2).leader], [7, 0]);
  const request = { term: 7, index: 9, logTerm: 6 };
  assert.equal(send(env, MessageType.RequestVote, 3, 2, request), []);
  play(env, "tick 2 count=10");
  assert.is(send(env, MessageType.RequestVote, 3, 2, request)[0]?.reject, false);
});

test("§6 in a joint state both majorities must agree, to commit and to elect", () => {
  const env = led();
  play(env, "conf-change 1 r2 r3 v4 v5 transition=explicit", "stabilize without=(4,5)");
  assert.equal(status(env, 1).config.votersOutgoing, [1, 2, 3]);
  play(env, "propose 1 data=x", "drop");
  for (const id of [2, 3]) send(env, MessageType.AppendResponse, id, 1, { term: 6, index: 8 });
  assert.is(status(env, 1).committed, 7, "the old majority alone");
  send(env, MessageType.AppendResponse, 4, 1, { term: 6, index: 8 });
  assert.is(status(env, 1).committed, 8, "both");
});

test("§6 a leader that is no member any more steps down when the change is committed", () => {
  const env = led();
  play(env, "conf-change 1 r1");
  assert.is(status(env, 1).role, Role.Leader);
  play(env, "stabilize");
  assert.is(status(env, 1).role, Role.Follower);
  play(env, "tick 1 count=40");
  assert.is(status(env, 1).role, Role.Follower, "and does not campaign");
});

test("change of members: one at a time, and none before a commit in the leader's term", () => {
  const env = group();
  play(env, "campaign 1", "deliver", "deliver");
  assert.is(status(env, 1).role, Role.Leader);
  assert.is(play(env, "conf-change 1 v4"), "ConfChangePending");
  play(env, "stabilize");
  assert.is(play(env, "conf-change 1 v4"), "at 6/7");
  assert.is(play(env, "conf-change 1 v5"), "ConfChangePending");
});

test("change of members: a simple one touches one voter, more go through a joint state", () => {
  const env = led();
  play(env, "conf-change 1 r2 r3", "stabilize");
  const { config } = status(env, 1);
  assert.equal([config.voters, config.votersOutgoing], [[1], []]);
  assert.is(env.peer(1).applied, 8, "entered at 7, left at 8");
});

test("change of members: a demoted voter votes until the joint state is left", () => {
  const env = led();
  play(env, "conf-change 1 l2 transition=explicit", "stabilize");
  const joint = status(env, 1).config;
  assert.equal([joint.learners, joint.learnersNext, joint.votersOutgoing], [[], [2], [1, 2, 3]]);
  play(env, "conf-change 1", "stabilize");
  const { learners, voters } = status(env, 1).config;
  assert.equal([learners, voters], [[2], [1, 3]]);
});

test("change of members: a new leader leaves a joint state that leaves by itself", () => {
  const env = led();
  play(env, "conf-change 1 r3 v4", "deliver", "deliver", "drop", "crash 1");
  play(
    env,
    "tick 2",
    "campaign 2",
    "stabilize without=(1,4)",
    "campaign 2",
    "stabilize without=(1,4)",
  );
  const { role, config } = status(env, 2);
  assert.is(role, Role.Leader);
  assert.equal([config.autoLeave, config.voters], [true, [1, 2, 4]]);
});

test("change of members: who has not applied a committed one does not campaign", () => {
  const env = led();
  play(env, "unavailable 2 kind=committed", "conf-change 1 r3", "stabilize");
  assert.is(status(env, 2).committed, 7);
  assert.is(env.peer(2).applied, 6);
  play(env, "campaign 2");
  assert.is(status(env, 2).role, Role.Follower);
  play(env, "fetched 2", "campaign 2");
  assert.is(status(env, 2).role, Role.Candidate);
});

test("§7 a follower that needs compacted entries gets a snapshot and what follows it", () => {
  const env = led();
  play(env, "propose 1 data=x count=3", "stabilize without=(3)", "compact 1 index=8");
  play(env, "tick 1 count=2", "stabilize", "report-snapshot 1 peer=3", "propose 1 data=y");
  play(env, "stabilize");
  assert.is(env.peer(3).storage.firstIndex(), 10);
  assert.is(env.peer(3).state.digest, env.peer(1).state.digest);
});

test("§7 a snapshot that a log contains keeps the log behind it", () => {
  const env = led();
  play(env, "propose 1 data=x count=3", "deliver to=2", "compact 1 index=6");
  const snapshot = env.peer(1).storage.snapshot(0, 2);
  send(env, MessageType.Snapshot, 1, 2, { term: 6, snapshot });
  assert.equal([status(env, 2).firstIndex, status(env, 2).lastIndex], [6, 9]);
});

test("§7 an old snapshot is answered with what is committed", () => {
  const env = led();
  play(env, "compact 1 index=6");
  const snapshot = env.peer(1).storage.snapshot(0, 2);
  play(env, "propose 1 data=x", "stabilize");
  const [answer] = send(env, MessageType.Snapshot, 1, 2, { term: 6, snapshot });
  assert.is(answer?.index, 7);
});

test("§8 a new leader appends an empty entry, and knows what is committed when it is", () => {
  const env = group();
  play(env, "campaign 1", "deliver", "deliver");
  assert.equal([status(env, 1).lastIndex, status(env, 1).committedInTerm], [6, false]);
  play(env, "stabilize");
  assert.ok(status(env, 1).committedInTerm);
});

test("§8 a read waits for a commit of the term and for a majority that still knows the leader", () => {
  const env = group();
  play(env, "campaign 1", "deliver", "deliver", "read 1 name=r");
  assert.is(status(env, 1).readsWaiting, 1);
  play(env, "stabilize");
  assert.is(status(env, 1).readsWaiting, 0);
  assert.match(play(env, "read 1 name=s", "stabilize"), "1: read s at 6");
  assert.not.match(play(env, "read 1 name=t", "stabilize without=(2,3)"), "read t");
});

test.run();
