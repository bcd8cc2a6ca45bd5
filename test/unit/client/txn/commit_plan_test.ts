/** What a commit sends, and what replies to prewrites add up to. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../../src/base/index.js";
import { mapKey } from "../../../../src/client/arguments.js";
import {
  choosePrimary,
  fitsAsyncCommit,
  lockTtlMs,
  maxCommitTs,
  PrewriteProgress,
  toMutations,
} from "../../../../src/client/txn/commit_plan.js";
import { UnionStore } from "../../../../src/client/txn/union_store.js";
import { composeTs } from "../../../../src/codec/index.js";
import { kvrpcpb } from "../../../../src/pb/index.js";

const b = utf8;
const [A, B, C] = [b("a"), b("b"), b("c")];

test("mutations are in key order, with what the store has to check", () => {
  const own = new UnionStore();
  own.put(b("e"), b("v"));
  own.insert(b("d"), b("v"), false);
  own.insert(b("c"), b("v"), true);
  own.delete(b("b"));
  own.lock(b("a"));
  own.insert(b("f"), b("v"), false);
  own.delete(b("f"));
  const mutations = toMutations(own.writes(), new Set([mapKey(b("c"))]));
  const text = mutations.map(
    ({ assertion, isLocked, key, op }) =>
      `${utf8Decode(key)} ${kvrpcpb.Op[op]} ${kvrpcpb.Assertion[assertion]}${isLocked ? " locked" : ""}`,
  );
  assert.equal(text, [
    "a Lock None",
    "b Del None",
    "c Put NotExist locked",
    "d Insert None",
    "e Put None",
    "f CheckNotExists None",
  ]);
  assert.equal(choosePrimary(mutations), b("b"));
});

test("the primary leaves a lock", () => {
  const own = new UnionStore();
  own.insert(b("a"), b("v"), false);
  own.delete(b("a"));
  assert.is(choosePrimary(toMutations(own.writes(), new Set())), undefined);
  own.lock(b("b"));
  assert.equal(choosePrimary(toMutations(own.writes(), new Set())), b("b"));
});

test("async commit is for few keys of few bytes", () => {
  const plan = (count: number, bytes: number): boolean => {
    const own = new UnionStore();
    for (let i = 0; i < count; i++) own.put(b(`${i}`.padStart(bytes, "k")), b("v"));
    return fitsAsyncCommit(toMutations(own.writes(), new Set()));
  };
  assert.is(plan(256, 16), true);
  assert.is(plan(257, 8), false);
  assert.is(plan(2, 2049), false);
});

test("locks of larger transactions live longer, counted from the beginning", () => {
  assert.is(lockTtlMs(100, 0, 20_000), 3000);
  assert.is(lockTtlMs(100, 4500.5, 20_000), 7501);
  assert.is(lockTtlMs(4 * 1024 * 1024, 0, 20_000), 12_000);
  assert.is(lockTtlMs(100 * 1024 * 1024, 0, 20_000), 20_000);
});

test("stores may choose commit_ts two seconds ahead", () => {
  assert.is(maxCommitTs(composeTs(1000n, 7n)), composeTs(3000n, 0n));
});

test("1PC: one store decides", () => {
  const progress = new PrewriteProgress(2, { onePc: true, async: true });
  assert.is(progress.isAsync, true);
  progress.onDone([A, B], 0n, 7n);
  assert.equal([progress.mode, progress.commitTs], ["onePc", 7n]);
});

test("1PC that the store refuses falls back to what it did instead", () => {
  const both = new PrewriteProgress(1, { onePc: true, async: true });
  both.onDone([A], 9n, 0n);
  assert.equal([both.mode, both.commitTs], ["async", 9n]);
  const neither = new PrewriteProgress(1, { onePc: true, async: true });
  neither.onDone([A], 0n, 0n);
  assert.is(neither.mode, "twoPhase");
  const plain = new PrewriteProgress(1, { onePc: true, async: false });
  assert.is(plain.isAsync, false);
  plain.onDone([A], 9n, 0n);
  assert.is(plain.mode, "twoPhase");
});

test("async commit takes the largest min_commit_ts, and ends with the first zero", () => {
  const progress = new PrewriteProgress(3, { onePc: true, async: true });
  progress.leaveOnePc();
  progress.onDone([A], 5n, 0n);
  progress.onDone([B], 8n, 0n);
  assert.throws(() => progress.commitTs);
  progress.onDone([C], 6n, 0n);
  assert.equal([progress.mode, progress.commitTs], ["async", 8n]);
  const zero = new PrewriteProgress(2, { onePc: false, async: true });
  zero.onDone([A], 0n, 0n);
  zero.onDone([B], 8n, 0n);
  assert.is(zero.mode, "twoPhase");
});

test("a commit is in doubt only if no key is known not to be prewritten", () => {
  const progress = new PrewriteProgress(2, { onePc: false, async: true });
  progress.onOpen([A]);
  assert.is(progress.mayBeCommitted, false, "b was not sent");
  progress.onDone([B], 5n, 0n);
  assert.is(progress.mayBeCommitted, true);
  progress.onRefused([A]);
  assert.is(progress.mayBeCommitted, false, "a store has refused a");
  progress.onOpen([A]);
  progress.onDone([A], 6n, 0n);
  assert.is(progress.mayBeCommitted, false, "everything is known");
});

test("prewrites of two phases decide nothing", () => {
  const progress = new PrewriteProgress(1, { onePc: false, async: false });
  progress.onOpen([A]);
  assert.is(progress.mayBeCommitted, false);
});

test("1PC in doubt stays in doubt when its keys are sent one by one", () => {
  const progress = new PrewriteProgress(2, { onePc: true, async: false });
  progress.onOpen([A, B]);
  progress.leaveOnePc();
  assert.is(progress.mode, "twoPhase");
  assert.is(progress.mayBeCommitted, true);
  progress.onDone([A], 4n, 0n);
  assert.is(progress.mayBeCommitted, true, "a may be done because all is committed");
});

test.run();
