/** The epoch table (semantics 3.4): one row a command, at propose and at apply. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  checkEpoch,
  EPOCH_RULES,
  type EpochCommand,
  isEpochStale,
  mayFollow,
} from "../../../src/raftstore/epoch.js";
import { testRegion } from "../../support/apply_harness.js";

const REGION = testRegion(); // conf_ver 3, version 4

/** What passes: v and c are the sender's version and conf_ver relative to the region's. */
const ROWS: Readonly<Record<EpochCommand, { version: boolean; confVer: boolean }>> = {
  normal: { version: true, confVer: false },
  changePeer: { version: false, confVer: true },
  split: { version: true, confVer: true },
  compactLog: { version: false, confVer: false },
  transferLeader: { version: false, confVer: false },
};

for (const [command, checks] of Object.entries(ROWS) as [EpochCommand, typeof ROWS.normal][]) {
  test(`${command} checks ${checks.version ? "version " : ""}${checks.confVer ? "conf_ver" : ""}`, () => {
    for (const version of [3n, 4n, 5n]) {
      for (const confVer of [2n, 3n, 4n]) {
        const passes = (!checks.version || version === 4n) && (!checks.confVer || confVer === 3n);
        const error = checkEpoch(command, { version, confVer }, REGION);
        assert.is(error === undefined, passes, `version ${version}, conf_ver ${confVer}`);
      }
    }
  });
}

test("only a change of peers moves conf_ver, only a split moves the version", () => {
  const moves = Object.entries(EPOCH_RULES).map(
    ([name, rule]) => `${name}:${rule.changesVersion ? "v" : ""}${rule.changesConfVer ? "c" : ""}`,
  );
  assert.equal(moves, ["normal:", "changePeer:c", "split:v", "compactLog:", "transferLeader:"]);
});

test("a refusal names both epochs and carries the region, then its siblings", () => {
  const sibling = testRegion({ id: 9n });
  const error = checkEpoch("split", { version: 3n, confVer: 0n }, REGION, [sibling]);
  assert.equal(error, {
    kind: "epochNotMatch",
    message:
      "EpochNotMatch current epoch of region 2 is conf_ver: 3 version: 4, but you sent version: 3",
    currentRegions: [REGION, sibling],
  });
});

test("an epoch is stale if any field is behind", () => {
  const base = { version: 4n, confVer: 3n };
  assert.not(isEpochStale(base, base));
  assert.ok(isEpochStale({ version: 3n, confVer: 9n }, base));
  assert.ok(isEpochStale({ version: 9n, confVer: 2n }, base));
  assert.not(isEpochStale({ version: 5n, confVer: 3n }, base));
});

/** Which command may wait in the log behind which: rows follow, columns are under way. */
const FOLLOWS: Readonly<Record<string, string>> = {
  normal: "changePeer",
  changePeer: "split",
  split: "",
  compactLog: "changePeer split",
};

test("a command does not follow a change of what it checks", () => {
  for (const [command, allowed] of Object.entries(FOLLOWS)) {
    for (const pending of ["changePeer", "split"] as const) {
      const may = mayFollow(command as EpochCommand, pending);
      assert.is(may, allowed.includes(pending), `${command} after ${pending}`);
    }
  }
});

test.run();
