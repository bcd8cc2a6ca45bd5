/**
 * BatchCommands over several regions of one store: a write batch a region and turn, answers and
 * errors to exactly the commands of that region, and the same errors as unary calls give.
 */

import { Client, credentials } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, NULL_LOGGER, NULL_METRICS, utf8 } from "../../../src/base/index.js";
import { writeRecords } from "../../../src/engine/index.js";
import { loadKernels } from "../../../src/kernel/index.js";
import { errorpb, fromBigInt, type kvrpcpb } from "../../../src/pb/index.js";
import { SERVER_DEFAULTS, startTikvServer } from "../../../src/server/index.js";
import { STORAGE_DEFAULTS, type StorageOptions } from "../../../src/storage/index.js";
import { RaftStorage } from "../../../src/storage/storage.js";
import { FakeClock } from "../../support/fake_clock.js";
import { FakePd } from "../../support/fake_pd.js";
import { type FakePeer, FakeRegions } from "../../support/fake_regions.js";
import { FakeTimers } from "../../support/fake_timers.js";
import { memoryEngine } from "../../support/store_fixture.js";
import { BatchClient, unary } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

interface Setup {
  readonly regions: FakeRegions;
  readonly left: FakePeer;
  readonly right: FakePeer;
  readonly client: Client;
  readonly batch: BatchClient;
  /** Requests that took the cold path so far. */
  cold(): number;
  contextOf(peer: FakePeer): kvrpcpb.IContext;
}

async function withServer(
  use: (setup: Setup) => Promise<void>,
  options: Partial<StorageOptions> = {},
): Promise<void> {
  const engine = await memoryEngine();
  const regions = new FakeRegions(engine);
  const left = regions.add(2n, EMPTY_BYTES, utf8("m"));
  const right = regions.add(3n, utf8("m"), EMPTY_BYTES);
  const clock = new FakeClock();
  const kernels = loadKernels({ poison: true, memoryBytes: 24 << 20 });
  const timers = new FakeTimers();
  const common = { clock, timers, logger: NULL_LOGGER, metrics: NULL_METRICS, kernels };
  const storage = new RaftStorage(
    { ...STORAGE_DEFAULTS, ...options },
    { ...common, engine, router: regions, disk: { refuses: () => false }, pd: new FakePd() },
  );
  const server = await startTikvServer({ ...SERVER_DEFAULTS, port: 0 }, { ...common, storage });
  const client = new Client(server.address, credentials.createInsecure());
  const contextOf = (peer: FakePeer): kvrpcpb.IContext => {
    const { regionId, confVer, version, peerId, storeId } = regions.context(peer);
    return {
      regionId: fromBigInt(regionId),
      regionEpoch: { confVer: fromBigInt(confVer), version: fromBigInt(version) },
      peer: { id: fromBigInt(peerId), storeId: fromBigInt(storeId) },
    };
  };
  try {
    const batch = new BatchClient(client);
    const cold = (): number => server.counters.cold;
    await use({ regions, left, right, client, batch, cold, contextOf });
  } finally {
    client.close();
    await server.stop(100);
    await storage.stop();
    await engine.close();
  }
}

const put = (context: kvrpcpb.IContext, key: string, value = "v") => ({
  RawPut: { context, key: utf8(key), value: utf8(value) },
});

/** What the writes since `from` hold, as keys, a string an entry. */
function entries(regions: FakeRegions, from: number): string[] {
  return regions.sent.slice(from).map((message) => {
    assert.is(message.kind, "write");
    if (message.kind !== "write") return "";
    const keys: string[] = [];
    for (const record of writeRecords(message.command.data)) {
      const key = record.kind === "deleteRange" ? record.start : record.key;
      keys.push(Buffer.from(key.subarray(2)).toString());
    }
    return `${message.command.header.regionId}: ${keys.join(" ")}`;
  });
}

test("the writes of one turn become one entry a region, in order; flow is counted apart", async () => {
  await withServer(async ({ regions, left, right, batch, cold, contextOf }) => {
    const [a, z] = [contextOf(left), contextOf(right)];
    const before = cold();
    const answers = await batch.call(
      put(a, "a1"),
      put(z, "z1"),
      { RawBatchPut: { context: a, pairs: ["a2", "a3"].map((key) => ({ key: utf8(key) })) } },
      { RawDelete: { context: z, key: utf8("z1") } },
      put(z, "z2"),
      { RawBatchDelete: { context: z, keys: [utf8("z3"), utf8("z4")] } },
      put(a, "a1", "second"),
    );
    for (const answer of answers) {
      const [body] = Object.values(answer).filter((part) => part?.regionError !== undefined);
      assert.is(body?.regionError, null);
    }
    assert.is(cold(), before);
    assert.equal(entries(regions, 0), ["2: a1 a2 a3 a1", "3: z1 z1 z2 z3 z4"]);
    const got = await batch.call(
      { RawGet: { context: a, key: utf8("a1") } },
      { RawGet: { context: z, key: utf8("z1") } },
      { RawGet: { context: z, key: utf8("z2") } },
      { RawBatchGet: { context: z, keys: [utf8("z2"), utf8("z3")] } },
    );
    assert.equal(got[0]?.RawGet?.value, Buffer.from("second"));
    assert.is(got[1]?.RawGet?.notFound, true);
    assert.equal(got[2]?.RawGet?.value, Buffer.from("v"));
    assert.is(got[3]?.RawBatchGet?.pairs?.length, 1);
    assert.is(cold(), before);
    const flows = [left, right].map((peer) => peer.regionFlow.take());
    assert.equal(
      flows.map(({ keysWritten, keysRead, bytesRead }) => [keysWritten, keysRead, bytesRead]),
      [
        [4, 1, 6],
        [5, 4, 2],
      ],
    );
  });
});

test("a region that loses its leader fails its own commands only", async () => {
  await withServer(async ({ regions, left, right, batch, contextOf }) => {
    const [a, z] = [contextOf(left), contextOf(right)];
    regions.holds = true;
    const call = batch.call(put(a, "a1"), put(z, "z1"), put(a, "a2"), put(z, "z2"));
    await within(2000, "both entries are submitted", () => regions.sent.length === 2);
    regions.depose(right);
    regions.deliver(1);
    await within(2000, "the left region answers alone", () => batch.answers.size === 2);
    regions.deliver();
    const answers = await call;
    const errors = answers.map((answer) => answer.RawPut?.regionError);
    assert.equal([errors[0], errors[2]], [null, null]);
    for (const error of [errors[1], errors[3]]) {
      assert.is(Number(error?.notLeader?.leader?.storeId), 9);
    }
  });
});

test("entries stay below raft-entry-max-size; one that cannot fails alone", async () => {
  await withServer(
    async ({ regions, left, batch, contextOf }) => {
      const a = contextOf(left);
      const value = "v".repeat(300);
      const keys = ["a1", "a2", "a3", "a4", "a5", "a6", "a7"];
      const pairs = Array.from({ length: 60 }, (_, i) => ({
        key: utf8(`b${i}`),
        value: utf8("vvvvvvvvvv"),
      }));
      const answers = await batch.call(
        ...keys.map((key) => put(a, key, value)),
        { RawBatchPut: { context: a, pairs } },
        put(a, "a8", value),
      );
      const errors = answers.map((one) => (one.RawPut ?? one.RawBatchPut)?.regionError ?? null);
      assert.is(errors.filter((error) => error !== null).length, 1);
      assert.ok(errors[7]?.raftEntryTooLarge);
      assert.equal(entries(regions, 0), ["2: a1 a2 a3", "2: a4 a5 a6", "2: a7", "2: a8"]);
    },
    { raftEntryMaxSizeBytes: 1024 },
  );
});

const encoded = (error: errorpb.IError | null | undefined): string =>
  Buffer.from(errorpb.Error.encode(error ?? {}).finish()).toString("hex");

test("NotLeader, EpochNotMatch with siblings, KeyNotInRegion: unary and batched alike", async () => {
  await withServer(async ({ regions, left, right, client, batch, contextOf }) => {
    const [a, z] = [contextOf(left), contextOf(right)];
    regions.depose(right);
    left.region = { ...left.region, version: 2n };
    regions.changed();
    const cases = [
      [z, "z", "notLeader"],
      [a, "a", "epochNotMatch"],
      [contextOf(left), "z", "keyNotInRegion"],
    ] as const;
    for (const [context, name, kind] of cases) {
      const key = utf8(name);
      const expected = (await unary(client, "RawGet", { context, key })).regionError;
      assert.ok(expected?.[kind], kind);
      const single = await unary(client, "RawPut", { context, key, value: key });
      const answers = await batch.call(
        { RawGet: { context, key } },
        { RawPut: { context, key, value: key } },
        { RawBatchGet: { context, keys: [key] } },
        { RawScan: { context, startKey: utf8("zz"), limit: 1 } },
      );
      const errors = [
        single.regionError,
        answers[0]?.RawGet?.regionError,
        answers[1]?.RawPut?.regionError,
        answers[2]?.RawBatchGet?.regionError,
      ];
      for (const error of errors) assert.is(encoded(error), encoded(expected), kind);
      assert.ok(answers[3]?.RawScan?.regionError?.[kind], `${kind}, scan`);
    }
  });
});

test("without a lease the commands of a turn are cold, share a confirmation, and answer the same", async () => {
  await withServer(async ({ regions, left, batch, cold, contextOf }) => {
    const a = contextOf(left);
    await batch.call(put(a, "a1"));
    left.hasLease = false;
    const sent = regions.sent.length;
    const gets = ["a1", "a2", "a1"].map((key) => ({ RawGet: { context: a, key: utf8(key) } }));
    const before = cold();
    const answers = await batch.call(...gets, { RawBatchGet: { context: a, keys: [utf8("a1")] } });
    assert.equal(
      answers.slice(0, 3).map((answer) => Buffer.from(answer.RawGet?.value ?? []).toString()),
      ["v", "", "v"],
    );
    assert.is(answers[3]?.RawBatchGet?.pairs?.length, 1);
    assert.is(cold() - before, 4);
    assert.is(regions.sent.length, sent + 1);
    const replica = { ...a, replicaRead: true };
    regions.depose(left);
    const [follower] = await batch.call({ RawGet: { context: replica, key: utf8("a1") } });
    assert.equal(follower?.RawGet?.value, Buffer.from("v"));
  });
});

test.run();
