/** BatchCommands streams: shapes of messages, bounds, order, disconnects, who serves, draining. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, utf8 } from "../../../src/base/index.js";
import { fromBigInt, kvrpcpb, tikvpb, toBigInt } from "../../../src/pb/index.js";
import { BatchClient, startServed, unary } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

const key = utf8("k");
const big = fromBigInt;

function frame(
  requests: tikvpb.BatchCommandsRequest.IRequest[],
  ids: readonly bigint[],
): Uint8Array {
  return tikvpb.BatchCommandsRequest.encode({ requests, requestIds: ids.map(big) }).finish();
}

test("empty message, unknown command, request without a command, ids of all sizes", async () => {
  const served = await startServed();
  const batch = new BatchClient(served.connect());
  const { context } = served;
  batch.sendBytes(new Uint8Array(0));
  const ids = [7n, (1n << 64n) - 1n, 1n << 53n, 0n];
  const get = { RawGet: { context, key } };
  batch.sendBytes(frame([get, {}, get, { Empty: { testId: big(5n) } }], ids));
  await within(2000, "four answers", () => batch.answers.size === 4);
  assert.is(batch.answers.get(7n)?.RawGet?.notFound, true);
  assert.equal({ ...batch.answers.get((1n << 64n) - 1n) }, {}, "no cmd in, no cmd out");
  assert.is(batch.answers.get(1n << 53n)?.RawGet?.notFound, true);
  assert.is(toBigInt(batch.answers.get(0n)?.Empty?.testId ?? 0), 5n);
  // Field 99 of the oneof does not exist: 0x9a 0x06 is its tag, length-delimited.
  const unknown = concatBytes(Uint8Array.of(0x0a, 3, 0x9a, 0x06, 0x00), Uint8Array.of(0x12, 1, 9));
  batch.sendBytes(unknown);
  await within(2000, "the unknown command", () => batch.answers.has(9n));
  assert.equal({ ...batch.answers.get(9n) }, {});
  batch.sendBytes(frame([get, get], [1n, 1n]));
  await within(2000, "duplicate ids", () => {
    const all = batch.messages.flatMap(({ requestIds }) => requestIds.map(toBigInt));
    return all.filter((id) => id === 1n).length === 2;
  });
  batch.stream.end();
  assert.is(await batch.ended, undefined, "half-close ends with OK");
  await served.stop();
});

test("refused messages close the stream with a code and a text; others are served", async () => {
  const served = await startServed();
  const client = served.connect();
  const honest = new BatchClient(client);
  const get = { RawGet: { context: served.context, key } };
  const valid = frame([get], [1n]);
  const rows: readonly (readonly [string, Uint8Array, number, RegExp])[] = [
    ["cut", valid.subarray(0, valid.length - 4), 3, /cannot decode the request/],
    ["an id too many", frame([get], [1n, 2n]), 3, /numbers of requests and request ids differ/],
    ["an id missing", frame([get, get], [1n]), 3, /numbers of requests and request ids differ/],
    ["11-byte varint", Uint8Array.of(0x10, ...Array(10).fill(0x80), 1), 3, /cannot decode/],
    ["field 0", Uint8Array.of(0x02, 0), 3, /cannot decode the request/],
    ["10,000 open groups", new Uint8Array(10_000).fill(0x3b), 3, /cannot decode the request/],
    [
      "4,097 requests",
      frame(
        Array(4097).fill({}),
        Array.from({ length: 4097 }, (_, i) => BigInt(i)),
      ),
      8,
      /a batch carries more than 4096 requests/,
    ],
    ["a bad body", Uint8Array.of(0x0a, 4, 0x0a, 2, 0xff, 0xff, 0x12, 1, 1), 3, /cannot decode/],
  ];
  for (const [name, bytes, code, text] of rows) {
    const batch = new BatchClient(client);
    batch.sendBytes(bytes);
    const error = await batch.ended;
    assert.is(error?.code, code, name);
    assert.match(error?.details ?? "", text, name);
    const [answer] = await honest.call(get);
    assert.is(answer?.RawGet?.notFound, true, `${name}: another stream is served`);
  }
  assert.is(served.server.counters.refusedFrames + 1, rows.length, "all but the cold body");
  assert.is(served.server.counters.inflight, 0);
  await served.stop();
});

test("4,096 requests in a message; answers come in messages of at most 128", async () => {
  const served = await startServed();
  const batch = new BatchClient(served.connect());
  const { context } = served;
  await batch.call({ RawPut: { context, key, value: utf8("v") } });
  const before = batch.messages.length;
  const gets = Array.from({ length: 4096 }, () => ({ RawGet: { context, key } }));
  const answers = await batch.call(...gets);
  for (const { RawGet } of answers) assert.equal(RawGet?.value, Buffer.from("v"));
  const sizes = batch.messages.slice(before).map(({ responses }) => responses.length);
  assert.equal(sizes, Array(32).fill(128));
  await served.stop();
});

test("messages of one turn are answered by one message for each stream", async () => {
  const served = await startServed();
  const { context } = served;
  const batches = [0, 1].map(() => new BatchClient(served.connect()));
  await Promise.all(batches.map((batch) => batch.call({ RawGet: { context, key } })));
  const before = { ...served.server.counters };
  await Promise.all(
    batches.flatMap((batch) =>
      Array.from({ length: 100 }, () => batch.call({ RawGet: { context, key } })),
    ),
  );
  const { frames, messages, turns } = served.server.counters;
  assert.is(frames - before.frames, 200, "a request came in a message of its own");
  assert.ok(messages - before.messages <= 2 * (turns - before.turns), "one a stream a turn");
  assert.ok(messages - before.messages < 200, "turns took more than one message");
  await served.stop();
});

test("values and messages larger than the arena take the cold path and are right", async () => {
  const served = await startServed({ kernel: { memoryBytes: 8 << 20 } });
  const batch = new BatchClient(served.connect());
  const { context } = served;
  const value = Buffer.alloc(3 << 20, 0x61);
  const [put] = await batch.call({ RawPut: { context, key, value } });
  assert.is(put?.RawPut?.error, "");
  const [get, miss, get2] = await batch.call(
    { RawGet: { context, key } },
    { RawGet: { context, key: utf8("none") } },
    { RawBatchGet: { context, keys: [key, key] } },
  );
  assert.ok(value.equals(get?.RawGet?.value as Buffer));
  assert.is(miss?.RawGet?.notFound, true);
  assert.is(get2?.RawBatchGet?.pairs.length, 2);
  const keys = Array.from({ length: 40_000 }, (_, i) => utf8(`m${i}`));
  const [many] = await batch.call({ RawBatchGet: { context, keys } });
  assert.equal(many?.RawBatchGet?.pairs, []);
  assert.ok(served.server.counters.oversizeFrames >= 2, "bytes, then keys");
  const values = Array.from({ length: 40 }, (_, i) => Buffer.alloc(64 << 10, i));
  const pairs = values.map((bytes, i) => ({ key: utf8(`b${i}`), value: bytes }));
  for (const pair of pairs) await batch.call({ RawPut: { context, ...pair } });
  const reads = await batch.call(...pairs.map((pair) => ({ RawGet: { context, key: pair.key } })));
  reads.forEach(({ RawGet }, i) => {
    assert.ok(values[i]?.equals(RawGet?.value as Buffer), `value ${i} after a drained arena`);
  });
  await served.stop();
});

test("writes of one turn keep their order; a read after the answer sees the last", async () => {
  const served = await startServed();
  const batch = new BatchClient(served.connect());
  const { context } = served;
  for (let round = 0; round < 20; round++) {
    const last = utf8(String(round));
    await batch.call(
      { RawPut: { context, key, value: utf8("x") } },
      { RawDelete: { context, key } },
      { RawBatchPut: { context, pairs: [{ key, value: utf8("y") }] } },
      { RawPut: { context, key, value: last } },
    );
    const [get] = await batch.call({ RawGet: { context, key } });
    assert.equal(get?.RawGet?.value, Buffer.from(last));
  }
  await served.stop();
});

test("two streams of one turn share a write batch and a sync", async () => {
  const served = await startServed();
  const clients = [served.connect(), served.connect()];
  const batches = clients.map((client) => new BatchClient(client));
  const { context } = served;
  await Promise.all(batches.map((batch) => batch.call({ RawGet: { context, key } })));
  const puts = Array.from({ length: 100 }, (_, i) => ({
    RawPut: { context, key: utf8(`k${i}`), value: utf8(String(i)) },
  }));
  const before = served.fixture.engine.stats();
  await Promise.all(batches.map((batch) => batch.call(...puts)));
  const { syncs, batches: submitted } = served.fixture.engine.stats();
  assert.ok(syncs - before.syncs <= 2, `${syncs - before.syncs} syncs for 200 puts`);
  assert.ok(submitted - before.batches <= 2, "one batch a turn");
  await served.stop();
});

test("a client that disconnects in the middle: its writes finish, nothing leaks", async () => {
  const served = await startServed();
  const { context } = served;
  for (let round = 0; round < 20; round++) {
    const client = served.connect();
    const batch = new BatchClient(client);
    const requests = Array.from({ length: 64 }, (_, i) => ({
      RawPut: { context, key: utf8(`r${round}-${i}`), value: key },
    }));
    void batch.call(...requests, { RawScan: { context, limit: 10 } });
    await within(2000, "the frame to arrive", () => served.server.counters.frames > round);
    if (round % 2 === 0) batch.stream.cancel();
    else client.close();
    batch.stream.cancel();
    await batch.ended;
  }
  await within(2000, "everything to be answered", () => served.server.counters.inflight === 0);
  await within(2000, "all streams to close", () => served.server.counters.streams === 0);
  const witness = served.connect();
  const scan = await unary(witness, "RawScan", { context, limit: 2000, keyOnly: true });
  assert.is(scan.kvs.length, 20 * 64, "each frame that was decoded was written");
  await served.stop();
});

test("backpressure: the stream is read again after each bound, and nothing is lost", async () => {
  const served = await startServed({
    server: { batchStreamInflightMax: 8, batchTotalInflightMax: 12 },
  });
  const batches = [0, 1, 2].map(() => new BatchClient(served.connect()));
  const { context } = served;
  const answers = await Promise.all(
    batches.flatMap((batch) =>
      Array.from({ length: 200 }, (_, i) =>
        batch.call(
          { RawPut: { context, key: utf8(`p${i}`), value: key } },
          { RawGet: { context, key: utf8(`p${i}`) } },
          { RawScan: { context, limit: 1 } },
        ),
      ),
    ),
  );
  assert.is(answers.flat().length, 1800);
  assert.is(served.server.counters.inflight, 0);
  await served.stop();
});

test("a reader that never reads is closed; others are served meanwhile", async () => {
  const served = await startServed({
    server: { streamBufferedMaxBytes: 256 << 10, slowReaderTimeoutMs: 0 },
    logger: undefined as never,
  });
  const { context } = served;
  const honest = new BatchClient(served.connect());
  await honest.call({ RawPut: { context, key, value: Buffer.alloc(64 << 10) } });
  const slow = new BatchClient(served.connect());
  slow.stream.pause();
  const gets = Array.from({ length: 64 }, () => ({ RawGet: { context, key } }));
  for (let i = 0; i < 4; i++) void slow.call(...gets);
  await within(5000, "the slow stream to be closed", () => served.server.counters.streams === 1);
  const [answer] = await honest.call({ RawGet: { context, key } });
  assert.is(answer?.RawGet?.value.length, 64 << 10);
  slow.stream.resume();
  await served.stop();
});

test("health feedback: as a command, and on messages once a second", async () => {
  const served = await startServed();
  const batch = new BatchClient(served.connect());
  const { context } = served;
  const [first] = await batch.call({ GetHealthFeedback: {} });
  const feedback = first?.GetHealthFeedback?.healthFeedback;
  assert.is(toBigInt(feedback?.storeId ?? 0), served.fixture.store.storeId);
  assert.is(feedback?.slowScore, 1);
  assert.ok(batch.messages[0]?.healthFeedback, "the message carries one, too");
  await batch.call({ RawGet: { context, key } });
  assert.is(batch.messages[1]?.healthFeedback, null, "not due yet");
  (served.fixture.clock as unknown as { advance(ms: number): void }).advance(1001);
  await batch.call({ RawGet: { context, key } });
  const later = batch.messages[2]?.healthFeedback;
  assert.ok(toBigInt(later?.feedbackSeqNo ?? 0) > toBigInt(feedback?.feedbackSeqNo ?? 0));
  const response = await unary(served.connect(), "GetHealthFeedback", {});
  assert.ok(response.healthFeedback);
  await served.stop();
});

test("under load the WASM kernels serve, and most requests are hot", async () => {
  const served = await startServed({ kernel: { build: "simd" } });
  const batches = [0, 1].map(() => new BatchClient(served.connect()));
  const { context } = served;
  await Promise.all(
    batches.flatMap((batch) =>
      Array.from({ length: 100 }, (_, i) =>
        batch.call(
          { RawPut: { context, key: utf8(`l${i}`), value: key } },
          { RawGet: { context, key: utf8(`l${i}`) } },
        ),
      ),
    ),
  );
  const { calls } = served.kernels;
  const names = ["Decode", "Plan", "Collect", "Encode"] as const;
  for (const name of names) {
    assert.ok(calls[`batchCommands${name}`].simd > 0, name);
    assert.is(calls[`batchCommands${name}`].js, 0, name);
  }
  const { gets, writes, cold, requests } = served.server.counters;
  assert.equal([gets, writes, cold, requests], [200, 200, 0, 400]);
  await served.stop();
});

test("draining: answers what runs, ends streams with UNAVAILABLE, health says NOT_SERVING", async () => {
  const served = await startServed();
  const client = served.connect();
  const batch = new BatchClient(client);
  const { context } = served;
  const pending = batch.call({ RawPut: { context, key, value: key } });
  await within(2000, "the put to arrive", () => served.server.counters.frames === 1);
  const stopping = served.server.stop(2000);
  const [answer] = await pending;
  assert.is(answer?.RawPut?.error, "");
  const error = await batch.ended;
  assert.is(error?.code, 14);
  assert.is(error?.details, "server is shutting down");
  await stopping;
  await served.stop();
});

test("a body that names the wrong type of a field is skipped as unknown, as protobuf says", async () => {
  const served = await startServed();
  const batch = new BatchClient(served.connect());
  const context = kvrpcpb.Context.encode(served.context).finish();
  // RawGet with key as a varint (0x10) before the real key: protobuf skips the former.
  const body = concatBytes(
    Uint8Array.of(0x0a, context.length),
    context,
    Uint8Array.of(0x10, 1, 0x12, 1, 0x6b),
  );
  const request = concatBytes(Uint8Array.of(0x6a, body.length), body);
  batch.sendBytes(
    concatBytes(Uint8Array.of(0x0a, request.length), request, Uint8Array.of(0x12, 1, 3)),
  );
  await within(2000, "the answer", () => batch.answers.has(3n));
  assert.is(batch.answers.get(3n)?.RawGet?.notFound, true);
  await served.stop();
});

test.run();
