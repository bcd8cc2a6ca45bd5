/** How RawClient reacts to region errors, moved leaders, dead stores, broken streams, time. */
import * as grpc from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { errorpb } from "../../../src/pb/index.js";
import { type ClientCluster, rejection, withCluster } from "../../support/client_cluster.js";
import { ScriptedStore } from "../../support/scripted_store.js";
import { within } from "../../support/within.js";

type Store = ClientCluster["stores"][number];

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString();

/** Makes `store` answer the next commands with these errors, one each. */
function errorsOnce(store: Store, ...errors: errorpb.IError[]): void {
  const left = [...errors];
  store.script = () => left.shift();
}

test("the leader is followed where a store points to, without asking PD", () =>
  withCluster(
    async ({ client, cluster, pd, stores }) => {
      await client.put("a", "1");
      const asked = pd.count("GetRegion");
      const region = cluster.regions[0] as NonNullable<(typeof cluster.regions)[0]>;
      region.leader = 3;
      await client.put("a", "2");
      await client.put("a", "3");
      assert.equal(
        stores.map((store) => store.log.length),
        [2, 0, 2],
      );
      assert.is(pd.count("GetRegion"), asked);
    },
    { storesCount: 3 },
  ));

test("without a hint the other peers are asked", () =>
  withCluster(
    async ({ client, cluster, stores }) => {
      await client.put("a", "1");
      const region = cluster.regions[0] as NonNullable<(typeof cluster.regions)[0]>;
      region.leader = 2;
      errorsOnce(stores[0] as Store, { message: "not leader", notLeader: { regionId: region.id } });
      await client.put("a", "2");
      assert.is(text(cluster.get(Buffer.from("a"))?.value), "2");
    },
    { storesCount: 2 },
  ));

test("stores that point at each other do not hold a request up for ever", () =>
  withCluster(
    async ({ client, cluster, stores }) => {
      const [peer1, peer2] = cluster.regions[0]?.peers ?? [];
      const hint = (leader: object | undefined) => (): errorpb.IError => ({
        message: "not leader",
        notLeader: { leader: leader ?? null },
      });
      (stores[0] as Store).script = hint(peer2);
      (stores[1] as Store).script = hint(peer1);
      const code = await rejection(client.get("a"));
      assert.match(code, /^RUTILE:Client:RegionUnavailable: gave up after/);
      const asked = (stores[0]?.log.length ?? 0) + (stores[1]?.log.length ?? 0);
      assert.ok(asked < 200, `${asked} requests`);
    },
    { storesCount: 2, retryBudgetMs: 50 },
  ));

test("EpochNotMatch replaces the regions without asking PD", () =>
  withCluster(async ({ client, cluster, pd }) => {
    await client.put("a", "1");
    const asked = pd.count("GetRegion");
    for (const key of ["b", "c", "d"]) cluster.split(Buffer.from(key));
    await client.batchPut(["a", "b", "c", "d", "e"].map((key) => ({ key, value: key })));
    assert.is(cluster.pairs.size, 5);
    assert.is(pd.count("GetRegion"), asked);
  }));

test("errors that a retry or a reload repairs are not seen by callers", () =>
  withCluster(
    async ({ client, pd, stores }) => {
      await client.put("a", "1");
      const cases: [string, errorpb.IError, "reload" | "stay"][] = [
        ["stale command", { staleCommand: {} }, "stay"],
        ["max ts", { maxTimestampNotSynced: {} }, "stay"],
        ["read index", { readIndexNotReady: {} }, "stay"],
        ["merging", { proposalInMergingMode: {} }, "stay"],
        ["not initialized", { regionNotInitialized: {} }, "stay"],
        ["data not ready", { dataIsNotReady: {} }, "stay"],
        ["region not found", { regionNotFound: {} }, "reload"],
        ["key not in region", { keyNotInRegion: {} }, "reload"],
        ["peer id", { mismatchPeerId: {} }, "reload"],
        ["epoch, empty", { epochNotMatch: {} }, "reload"],
        ["buckets", { bucketVersionNotMatch: {} }, "reload"],
        ["recovery", { RecoveryInProgress: {} }, "reload"],
        ["only a message", { message: "TiKV is Closing" }, "reload"],
        ["nothing at all", {}, "reload"],
      ];
      for (const [name, error, effect] of cases) {
        const asked = pd.count("GetRegion");
        errorsOnce(stores[0] as Store, error);
        assert.is(text(await client.get("a")), "1", name);
        assert.is(pd.count("GetRegion") - asked, effect === "reload" ? 1 : 0, name);
      }
    },
    { retryBudgetMs: 30_000 },
  ));

test("errors that no retry repairs are told at once", () =>
  withCluster(async ({ client, stores }) => {
    const store = stores[0] as Store;
    const cases: [errorpb.IError, RegExp][] = [
      [
        { message: "too large", raftEntryTooLarge: {} },
        /^KV:Raftstore:EntryTooLarge: raftEntryTooLarge/,
      ],
      [{ undeterminedResult: {} }, /^RUTILE:Client:Undetermined/],
      [{ FlashbackInProgress: {} }, /^RUTILE:Client:Refused/],
    ];
    for (const [error, pattern] of cases) {
      errorsOnce(store, error);
      assert.match(await rejection(client.put("a", "1")), pattern);
    }
    const texts: [string, RegExp][] = [
      [
        "max key size exceeded, size: 9000, limit: 8192",
        /^KV:Storage:KeyTooLarge: RawPut: max key/,
      ],
      [
        "ttl is not enabled, but get put request with ttl",
        /^KV:Storage:TtlNotEnabled: .*enable-ttl/,
      ],
      [
        "Api version in request does not match with TiKV storage",
        /^KV:Storage:ApiVersionNotMatched/,
      ],
      ["something else", /^RUTILE:Client:Refused: RawPut: something else\. Read the store's words/],
    ];
    store.script = () => undefined;
    for (const [refusal, pattern] of texts) {
      store.refusal = refusal;
      assert.match(await rejection(client.put("a", "1")), pattern);
    }
  }));

test("a busy store is waited for, as long as it advises, outside of the budget", () =>
  withCluster(
    async ({ client, stores }) => {
      const store = stores[0] as Store;
      // Connections are open before the clock runs; the shortest wait for a busy store is 1,000 ms.
      await client.put("a", "1");
      errorsOnce(store, { serverIsBusy: { reason: "scheduler is busy" } });
      assert.match(
        await rejection(client.get("a", { timeoutMs: 950 })),
        /^RUTILE:Client:Timeout: .*serverIsBusy/,
      );
      store.script = () => ({ serverIsBusy: { reason: "deadline is exceeded" } });
      assert.match(
        await rejection(client.get("a", { timeoutMs: 950 })),
        /^RUTILE:Client:(Region|Timeout)/,
      );
    },
    { retryBudgetMs: 20 },
  ));

test("a store that moved to another address is found again through PD", () =>
  withCluster(async ({ client, cluster, stores }) => {
    await client.put("a", "1");
    (stores[0] as Store).stop();
    const moved = await ScriptedStore.start(1, cluster);
    assert.is(text(await client.get("a")), "1");
    moved.stop();
  }));

test("an address that belongs to another store now is resolved again", () =>
  withCluster(
    async ({ client, cluster, stores }) => {
      await client.put("a", "1");
      const [one, two] = stores as [Store, Store];
      const port = one.port;
      one.stop();
      two.stop();
      const swapped = [
        await ScriptedStore.start(2, cluster, port),
        await ScriptedStore.start(1, cluster),
      ];
      assert.is(text(await client.get("a")), "1");
      for (const store of swapped) store.stop();
    },
    { storesCount: 2 },
  ));

test("a cut stream fails nobody: what was under way is sent again", () =>
  withCluster(async ({ client, stores }) => {
    const store = stores[0] as Store;
    await client.put("a", "1");
    store.silent = true;
    const waiting = Promise.all(Array.from({ length: 200 }, (_, i) => client.put(`k${i}`, "v")));
    await within(5000, "the requests came", () => store.batchSizes.length >= 3);
    store.silent = false;
    store.cutStreams();
    await waiting;
    assert.is(store.cluster.pairs.size, 201);
  }));

test("a compare-and-swap is not repeated when its fate is unknown", () =>
  withCluster(async ({ client, stores }) => {
    const store = stores[0] as Store;
    store.unaryFailure = () => ({ code: grpc.status.UNAVAILABLE, details: "connection reset" });
    const told = await rejection(client.compareAndSwap("a", undefined, "1"));
    assert.match(told, /^RUTILE:Client:Undetermined: .*connection reset/);
    assert.is(store.log.filter((command) => command === "*RawCompareAndSwap").length, 1);
  }));

test("a compare-and-swap that was never sent is repeated", () =>
  withCluster(
    async ({ client, stores }) => {
      (stores[0] as Store).stop();
      const told = await rejection(client.compareAndSwap("b", undefined, "1"));
      assert.match(told, /^RUTILE:Client:StoreUnavailable: .*tikvRpc.*tikvRpc/);
    },
    { retryBudgetMs: 400 },
  ));

test("a dead store ends in StoreUnavailable, with what was tried and the remedy", () =>
  withCluster(
    async ({ client, stores }) => {
      await client.put("a", "1");
      (stores[0] as Store).stop();
      const told = await rejection(client.get("a"));
      assert.match(told, /^RUTILE:Client:StoreUnavailable: gave up after \d+ ms/);
      assert.match(told, /tikvRpc: store 1 at 127\.0\.0\.1:\d+: /);
      assert.match(told, /Check that the store runs/);
    },
    { retryBudgetMs: 200 },
  ));

test("a peer that does not answer is not asked first again, even by requests without retries", () =>
  withCluster(
    async ({ client, cluster, stores }) => {
      await client.put("a", "1");
      const region = cluster.regions[0] as NonNullable<(typeof cluster.regions)[0]>;
      region.leader = 2;
      (stores[0] as Store).silent = true;
      assert.match(await rejection(client.get("a", { timeoutMs: 100 })), /^RUTILE:Client:Timeout/);
      assert.is(text(await client.get("a", { timeoutMs: 2000 })), "1");
    },
    { storesCount: 2, retryBudgetMs: 0 },
  ));

test("timeouts and aborts end an operation at once, and only that one", () =>
  withCluster(async ({ client, stores }) => {
    await client.put("a", "1");
    (stores[0] as Store).silent = true;
    const abort = new AbortController();
    const aborted = rejection(client.get("a", { signal: abort.signal }));
    const timed = rejection(client.get("a", { timeoutMs: 100 }));
    await within(2000, "both were sent", () => (stores[0]?.batchSizes.length ?? 0) >= 2);
    abort.abort();
    assert.match(await aborted, /^RUTILE:Client:Aborted/);
    assert.match(await timed, /^RUTILE:Client:Timeout/);
    (stores[0] as Store).silent = false;
    assert.is(text(await client.get("a")), "1");
    const before = AbortSignal.abort();
    assert.match(await rejection(client.get("a", { signal: before })), /^RUTILE:Client:Aborted/);
  }));

test("more waiting requests than allowed are refused", () =>
  withCluster(
    async ({ client, stores }) => {
      await client.put("a", "1");
      (stores[0] as Store).silent = true;
      const waiting = Array.from({ length: 10 }, () =>
        rejection(client.get("a", { timeoutMs: 150 })),
      );
      const over = await rejection(client.get("a"));
      assert.match(over, /^RUTILE:Client:TooManyPending: .*10 requests wait.*pendingMax/);
      for (const told of await Promise.all(waiting)) assert.match(told, /^RUTILE:Client:Timeout/);
    },
    { pendingMax: 10 },
  ));

test("an answer of another kind is a protocol error", () =>
  withCluster(async ({ client, stores }) => {
    await client.put("a", "1");
    (stores[0] as Store).onBatch = (stream, { requestIds }) => {
      stream.write({ responses: requestIds.map(() => ({ RawPut: {} })), requestIds });
      return true;
    };
    assert.match(await rejection(client.get("a")), /^RUTILE:Client:Protocol: .*RawGet with RawPut/);
    (stores[0] as Store).onBatch = (stream, { requestIds }) => {
      stream.write({ responses: [{ Empty: {} }], requestIds: [9999] });
      stream.write({ responses: requestIds.map(() => ({})), requestIds });
      return true;
    };
    assert.match(await rejection(client.get("a")), /^RUTILE:Client:Protocol: .*with nothing/);
  }));

test("without PD, connect says which addresses were asked", async () => {
  const { RawClient } = await import("../../../src/client/index.js");
  const connecting = RawClient.connect({ pdEndpoints: ["127.0.0.1:1"], retryBudgetMs: 100 });
  const told = await rejection(connecting);
  assert.match(told, /^RUTILE:Client:PdUnavailable: gave up/);
  assert.match(told, /127\.0\.0\.1:1/);
  assert.match(await rejection(RawClient.connect({ pdEndpoints: [] })), /InvalidArgument/);
});

test("close ends what waits, and what comes after", () =>
  withCluster(async ({ client, stores }) => {
    await client.put("a", "1");
    (stores[0] as Store).silent = true;
    const waiting = rejection(client.get("a"));
    await within(2000, "it was sent", () => (stores[0]?.batchSizes.length ?? 0) >= 2);
    client.close();
    assert.match(await waiting, /^RUTILE:Client:Closed/);
    assert.match(await rejection(client.get("a")), /^RUTILE:Client:Closed/);
    assert.match(await rejection(client.scan().next()), /^RUTILE:Client:Closed/);
  }));

test.run();
