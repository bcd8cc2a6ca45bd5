/** Backoffs are client-go's, and an operation waits no longer than it may. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  BACKOFFS,
  type BackoffDeps,
  Backoffer,
  type BackoffName,
  backoffMs,
} from "../../../src/client/backoff.js";
import { cutChunks } from "../../../src/client/region_chunks.js";
import { onRegionError, regionErrorText } from "../../../src/client/region_error.js";
import { ReplicaSelector } from "../../../src/client/replica_selector.js";
import { errorpb } from "../../../src/pb/index.js";

/** A clock that only sleeping moves. */
function fakeTime(random = 0.5): BackoffDeps & { now: number; readonly slept: number[] } {
  return {
    now: 0,
    slept: [],
    nowMs() {
      return this.now;
    },
    random: () => random,
    async sleep(ms) {
      this.slept.push(ms);
      this.now += ms;
    },
  };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "ok";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test("the table is client-go's", () => {
  const table: [BackoffName, number, number, string][] = [
    ["tikvRpc", 100, 2000, "equal"],
    ["pdRpc", 500, 3000, "equal"],
    ["regionMiss", 2, 500, "none"],
    ["regionScheduling", 2, 500, "none"],
    ["tikvServerBusy", 2000, 10_000, "equal"],
    ["tikvDiskFull", 500, 5000, "none"],
    ["regionRecoveryInProgress", 100, 10_000, "equal"],
    ["staleCommand", 2, 1000, "none"],
    ["maxTsNotSynced", 2, 500, "none"],
    ["dataNotReady", 2, 2000, "none"],
    ["regionNotInitialized", 2, 1000, "none"],
    ["txnLock", 100, 3000, "equal"],
    ["txnLockFast", 2, 3000, "equal"],
    ["txnNotFound", 2, 500, "none"],
    ["isWitness", 1000, 10_000, "equal"],
  ];
  assert.is(table.length, Object.keys(BACKOFFS).length);
  for (const [name, base, cap, jitter] of table) {
    const kind = BACKOFFS[name];
    assert.equal([kind.baseMs, kind.capMs, kind.jitter], [base, cap, jitter], name);
  }
});

test("waits double up to the cap; equal jitter stays in the upper half", () => {
  const plain = [0, 1, 2, 3, 20, 5000].map((n) => backoffMs(BACKOFFS.regionMiss, n, 0.9));
  assert.equal(plain, [2, 4, 8, 16, 500, 500]);
  fc.assert(
    fc.property(fc.nat(100), fc.double({ min: 0, max: 0.999, noNaN: true }), (n, random) => {
      const full = Math.min(2000, 100 * 2 ** n);
      const wait = backoffMs(BACKOFFS.tikvRpc, n, random);
      return wait >= full / 2 && wait <= full;
    }),
  );
});

test("the budget is never exceeded, and its end carries the kind's code", async () => {
  const time = fakeTime();
  const op = new Backoffer({ budgetMs: 1000, timeoutMs: 60_000 }, time);
  let code = "ok";
  while (code === "ok") code = await codeOf(op.wait("tikvRpc", "down"));
  assert.is(code, "RUTILE:Client:StoreUnavailable");
  assert.ok(time.now <= 1000, `${time.now} ms`);
  assert.ok(time.slept.length >= 3);
});

test("kinds share the budget; a busy store's waits are outside of it", async () => {
  const time = fakeTime();
  const op = new Backoffer({ budgetMs: 600, timeoutMs: 60_000 }, time);
  assert.is(await codeOf(op.wait("pdRpc", "x")), "ok");
  for (let i = 0; i < 3; i++) assert.is(await codeOf(op.wait("tikvServerBusy", "x")), "ok");
  assert.is(await codeOf(op.wait("tikvRpc", "x")), "ok");
  assert.is(await codeOf(op.wait("pdRpc", "x")), "RUTILE:Client:PdUnavailable");
});

test("the end of the budget is told by the kind that was waited for longest", async () => {
  const op = new Backoffer({ budgetMs: 80, timeoutMs: 10_000 }, fakeTime());
  await op.wait("tikvRpc", "connection refused");
  const misses = async (): Promise<void> => {
    for (let i = 0; i < 4; i++) await op.wait("regionMiss", "no peer of the region serves it");
  };
  assert.is(await codeOf(misses()), "RUTILE:Client:StoreUnavailable");
});

test("no wait ends after the deadline; advice lengthens a wait", async () => {
  const time = fakeTime();
  const op = new Backoffer({ budgetMs: 1e9, timeoutMs: 5000 }, time);
  assert.is(await codeOf(op.wait("regionMiss", "x", 700)), "ok");
  assert.equal(time.slept, [700]);
  assert.is(await codeOf(op.wait("tikvServerBusy", "x", 9000)), "RUTILE:Client:Timeout");
  assert.is(time.now, 5000);
  assert.is(op.leftMs(), 0);
});

test("a wait that reaches the deadline ends the operation, though its timer fired early", async () => {
  const time = fakeTime();
  const early: BackoffDeps = {
    nowMs: () => time.now,
    random: () => 0.5,
    sleep: (ms) => time.sleep(ms - 0.5, []),
  };
  const op = new Backoffer({ budgetMs: 1, timeoutMs: 900 }, early);
  assert.is(await codeOf(op.wait("tikvServerBusy", "busy")), "RUTILE:Client:Timeout");
});

test("signals end an operation before it waits", async () => {
  const aborted = new Backoffer(
    { budgetMs: 1, timeoutMs: 1, signal: AbortSignal.abort() },
    fakeTime(),
  );
  assert.is(await codeOf(aborted.wait("regionMiss", "x")), "RUTILE:Client:Aborted");
  const closed = new Backoffer(
    { budgetMs: 1, timeoutMs: 1, closing: AbortSignal.abort() },
    fakeTime(),
  );
  assert.is(await codeOf(closed.wait("regionMiss", "x")), "RUTILE:Client:Closed");
});

test("the list of attempts stays short", async () => {
  const op = new Backoffer({ budgetMs: 1e9, timeoutMs: 1e9 }, fakeTime());
  for (let i = 0; i < 100; i++) await op.wait("staleCommand", `no ${i}`);
  const { attempts } = op.error("RUTILE:Client:Refused", "x");
  assert.ok(attempts.length <= 6);
  assert.is(attempts[0], "staleCommand: no 0");
  assert.is(attempts.at(-1), "staleCommand: no 99");
  const same = new Backoffer({ budgetMs: 1e9, timeoutMs: 1e9 }, fakeTime());
  for (const why of ["a", "a", "a", "b", "a"]) await same.wait("pdRpc", why);
  assert.equal(same.error("RUTILE:Client:Refused", "x").attempts, [
    "pdRpc: a (3 times)",
    "pdRpc: b",
    "pdRpc: a",
  ]);
});

test("every region error has an action", () => {
  const expected: [errorpb.IError, string][] = [
    [{ undeterminedResult: {} }, "fail"],
    [{ notLeader: { leader: { id: 3 } } }, "switchLeader"],
    [{ notLeader: {} }, "switchLeader"],
    [{ diskFull: {} }, "retry tikvDiskFull 0"],
    [{ RecoveryInProgress: {} }, "reload regionRecoveryInProgress"],
    [{ isWitness: {} }, "reload isWitness"],
    [{ FlashbackInProgress: {} }, "fail"],
    [{ FlashbackNotPrepared: {} }, "fail"],
    [{ keyNotInRegion: {} }, "reload"],
    [{ mismatchPeerId: {} }, "reload"],
    [{ epochNotMatch: {} }, "replace"],
    [{ serverIsBusy: { reason: "x", backoffMs: 300 } }, "retry tikvServerBusy 300"],
    [{ serverIsBusy: { estimatedWaitMs: 400 } }, "retry tikvServerBusy 400"],
    [{ serverIsBusy: { backoffMs: 9e15 } }, "retry tikvServerBusy 10000"],
    [{ serverIsBusy: { reason: "deadline is exceeded" } }, "nextPeer 0"],
    [{ staleCommand: {} }, "retry staleCommand 0"],
    [{ storeNotMatch: {} }, "reloadStore"],
    [{ raftEntryTooLarge: {} }, "fail"],
    [{ maxTimestampNotSynced: {} }, "retry maxTsNotSynced 0"],
    [{ regionNotFound: {} }, "reload"],
    [{ bucketVersionNotMatch: {} }, "reload"],
    [{ readIndexNotReady: {} }, "retry regionScheduling 0"],
    [{ proposalInMergingMode: {} }, "retry regionScheduling 0"],
    [{ regionNotInitialized: {} }, "retry regionNotInitialized 0"],
    [{ dataIsNotReady: {} }, "retry dataNotReady 0"],
    [{ message: "Deadline is exceeded" }, "nextPeer 0"],
    [{ message: "invalid max_ts update" }, "fail"],
    [{ message: "TiKV is Closing" }, "nextPeer regionScheduling 0"],
    [{}, "nextPeer regionScheduling 0"],
  ];
  const seen = new Set<string>();
  for (const [error, text] of expected) {
    const decoded = errorpb.Error.decode(errorpb.Error.encode(error).finish());
    const action = onRegionError(decoded) as unknown as Record<string, unknown>;
    const parts = [action.do, action.backoff, action.leastMs].filter((part) => part !== undefined);
    assert.is(parts.join(" "), text, regionErrorText(decoded));
    for (const field of Object.keys(error)) seen.add(field);
  }
  const fields = Object.keys(new errorpb.Error()).concat(Object.keys(errorpb.Error.prototype));
  for (const field of fields) assert.ok(seen.has(field), `${field} has a case`);
});

test("a selector asks each peer once, and follows a bounded number of hints", () => {
  const peers = [1n, 2n, 3n].map((id) => ({ id, storeId: id, role: 0 as const }));
  const keys = { startKey: new Uint8Array(0), endKey: new Uint8Array(0) };
  const region = {
    id: 1n,
    ...keys,
    confVer: 1n,
    version: 1n,
    peers,
    leader: peers[1],
    loadedMs: 0,
  };
  const selector = new ReplicaSelector(region);
  const asked: bigint[] = [];
  selector.giveUp(peers[1] as (typeof peers)[0]);
  assert.is(
    new ReplicaSelector(region).pick()?.id,
    3n,
    "the next request begins with another peer",
  );
  for (let peer = selector.pick(); peer !== undefined; peer = selector.pick()) {
    asked.push(peer.id);
    selector.giveUp(peer);
  }
  assert.equal(asked, [3n, 1n]);
  const other = new ReplicaSelector(region);
  assert.not.ok(other.follow(peers[0] as (typeof peers)[0], 9n), "no peer of the region");
  let hops = 0;
  while (other.follow(peers[hops % 2] as (typeof peers)[0], BigInt(2 - (hops % 2)))) hops++;
  assert.ok(hops > 1 && hops < 20, `${hops} hops`);
});

test("chunks keep order and limits", () => {
  const sizes = fc.array(fc.nat(20), { maxLength: 100 });
  fc.assert(
    fc.property(
      sizes,
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 40 }),
      (items, itemsMax, bytesMax) => {
        const chunks = cutChunks(items, { itemsMax, bytesMax, sizeOf: (size) => size });
        assert.equal(chunks.flat(), items);
        for (const chunk of chunks) {
          const bytes = chunk.reduce((sum, size) => sum + size, 0);
          assert.ok(chunk.length >= 1 && chunk.length <= itemsMax, "items");
          assert.ok(bytes <= bytesMax || chunk.length === 1, "bytes");
        }
      },
    ),
  );
});

test.run();
