/**
 * The public quorum and membership scripts, run from the folder that RUTILE_RAFT_VECTORS names
 * (their data are not in this repository). Their "update" change has no number in eraftpb and
 * changes nothing: it is left out here.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Result } from "../../../src/base/index.js";
import {
  type ChangedMembers,
  type ConfChangeError,
  enterJoint,
  leaveJoint,
  simpleChange,
} from "../../../src/raft/confchange.js";
import { COMMITTED_ALL, jointCommitted, jointVote } from "../../../src/raft/quorum.js";
import { describeConfig, progressFactory } from "../../../src/raft/tracker.js";
import { type ConfChangeSingle, EMPTY_CONF_STATE } from "../../../src/raft/types.js";
import { type DataCase, runScript, scriptsIn } from "../../support/datadriven.js";
import { requires } from "../../support/requires.js";

const FOLDER = process.env.RUTILE_RAFT_VECTORS;
const QUORUM_CASES = 127;
const CONFCHANGE_CASES = 58;

if (FOLDER === undefined) console.log("SKIP needs RUTILE_RAFT_VECTORS, a folder of raft scripts");
const ready = FOLDER !== undefined && requires(`folder ${FOLDER}`, () => existsSync(FOLDER));
const testWithVectors = ready ? test : test.skip;

function ids(item: DataCase, key: string): number[] {
  const values = item.args.get(key) ?? [];
  return values.filter((value) => value !== "zero").map(Number);
}

/** Draws who acknowledged what: one line a voter, x for each voter that is behind it. */
function drawIndexes(all: readonly number[], indexes: ReadonlyMap<number, number>): string {
  if (all.length === 0) return "<empty majority quorum>";
  const of = (id: number): number => indexes.get(id) ?? 0;
  const lines = [...all]
    .sort((a, b) => a - b)
    .map((id) => {
      const behind = all.filter((other) => of(other) < of(id)).length;
      const bar = indexes.has(id) ? `${"x".repeat(behind)}>` : "?";
      return `${bar.padEnd(all.length + 1)} ${String(of(id)).padStart(5)}    (id=${id})`;
    });
  return `${" ".repeat(all.length)}    idx\n${lines.join("\n")}\n`;
}

function quorum(item: DataCase): string {
  const [incoming, outgoing] = [ids(item, "cfg"), ids(item, "cfgj")];
  const all = [...new Set([...incoming, ...outgoing])];
  const values = item.args.get(item.verb === "vote" ? "votes" : "idx") ?? [];
  const given = new Map<number, string>();
  all.forEach((id, i) => {
    if (values[i] !== "_") given.set(id, values[i] as string);
  });
  if (item.verb === "vote") {
    const voteOf = (id: number): boolean | undefined =>
      given.has(id) ? given.get(id) === "y" : undefined;
    const result = jointVote(incoming, outgoing, voteOf);
    return `Vote${result[0]?.toUpperCase()}${result.slice(1)}`;
  }
  assert.is(item.verb, "committed");
  const indexes = new Map([...given].map(([id, value]) => [id, Number(value)]));
  const index = jointCommitted(incoming, outgoing, (id) => indexes.get(id) ?? 0);
  return drawIndexes(all, indexes) + (index === COMMITTED_ALL ? "∞" : index);
}

function changesOf(item: DataCase): ConfChangeSingle[] {
  const types: Readonly<Record<string, 0 | 1 | 2>> = { v: 0, r: 1, l: 2 };
  return item.input
    .join(" ")
    .split(/\s+/)
    .filter((word) => word !== "" && !word.startsWith("u"))
    .map((word) => ({ type: types[word[0] as string] as 0 | 1 | 2, id: Number(word.slice(1)) }));
}

function confChanger(): (item: DataCase) => string {
  let members: ChangedMembers = { config: EMPTY_CONF_STATE, progress: new Map() };
  let lastIndex = 0;
  return (item) => {
    const context = { newProgress: progressFactory(10, 0), lastIndex: lastIndex++ };
    const changes = changesOf(item);
    let result: Result<ChangedMembers, ConfChangeError>;
    if (item.verb === "simple") result = simpleChange(members, changes, context);
    else if (item.verb === "leave-joint") result = leaveJoint(members, context);
    else {
      assert.is(item.verb, "enter-joint");
      const autoLeave = item.args.get("autoleave")?.[0] === "true";
      result = enterJoint(members, autoLeave, changes, context);
    }
    if (!result.ok) return result.error;
    members = result.value;
    const peers = [...members.progress].map(([id, progress]) => `${id}: ${progress.describe()}`);
    return [describeConfig(members.config), ...peers].join("\n");
  };
}

testWithVectors("quorum scripts", () => {
  let cases = 0;
  for (const path of scriptsIn(join(FOLDER as string, "quorum"))) cases += runScript(path, quorum);
  assert.is(cases, QUORUM_CASES);
});

testWithVectors("membership scripts", () => {
  let cases = 0;
  for (const path of scriptsIn(join(FOLDER as string, "confchange")))
    cases += runScript(path, confChanger());
  assert.is(cases, CONFCHANGE_CASES);
});

test("the folder is named, or the skip was said", () => {
  assert.ok(ready || FOLDER === undefined);
});

test.run();
