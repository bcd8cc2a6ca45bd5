/** Raft messages to other stores: rounds, frames, queues, failures, with streams of the test. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { loadKernels } from "../../../src/kernel/index.js";
import { MessageCodec, type RaftMessage } from "../../../src/raftstore/index.js";
import { RaftClient } from "../../../src/server/raft_client.js";
import { newRaftCounters } from "../../../src/server/raft_metrics.js";
import {
  frameMaxBytes,
  RAFT_TRANSPORT_DEFAULTS,
  type RaftTransportOptions,
} from "../../../src/server/raft_options.js";
import {
  FakeDirectory,
  FakeNet,
  ManualTimers,
  QUIET_LOGGER,
  RecordedEvents,
  settle,
} from "../../support/fake_raft_net.js";
import { appendTo } from "../../support/raft_messages.js";

const KERNELS = loadKernels({ poison: true, memoryBytes: 8 << 20 });
const CODEC = new MessageCodec(KERNELS);
const UNAVAILABLE = { code: 14, details: "gone" };

function setUp(options: Partial<RaftTransportOptions> = {}, utilization = (): number => 0) {
  const net = new FakeNet();
  const timers = new ManualTimers();
  const pd = new FakeDirectory();
  const events = new RecordedEvents();
  const counters = newRaftCounters();
  const frames: number[] = [];
  pd.stores.set(2n, { address: "store2:1", removed: false });
  pd.stores.set(3n, { address: "store3:1", removed: false });
  const client = new RaftClient(
    { ...RAFT_TRANSPORT_DEFAULTS, ...options },
    {
      codec: CODEC,
      events,
      snapshots: { open: () => undefined },
      pd,
      connect: net.connect,
      timers,
      utilization,
      logger: QUIET_LOGGER,
      counters,
      observer: { onFrame: (messages) => frames.push(messages) },
    },
  );
  return { client, net, timers, pd, events, counters, frames };
}

/** Indexes of the first entries in what a stream got. */
function received(written: readonly Uint8Array[]): number[][] {
  return CODEC.decodeFrames(written).map((frame) => {
    if (frame === "malformed") throw new Error("a malformed frame was sent");
    return frame.map((message) => (message as RaftMessage).message?.entries[0]?.index ?? -1);
  });
}

/** A client with an open stream to store 2 that has sent one message. */
async function connected(options: Partial<RaftTransportOptions> = {}, utilization = () => 0) {
  const parts = setUp(options, utilization);
  parts.client.send(appendTo(1, 6, 1, 10));
  await settle();
  parts.net.last.sent();
  parts.net.last.written.length = 0;
  parts.frames.length = 0;
  return parts;
}

test("send does not send; flush sends one frame to each store, encoded in one kernel call", async () => {
  const { client, net } = await connected();
  client.send(appendTo(1, 6, 1, 10, 3));
  await settle();
  const [two, three] = net.streams;
  assert.ok(two !== undefined && three !== undefined);
  three.written.length = 0;
  const before = { ...KERNELS.calls.raftMessageEncode };
  for (let i = 0; i < 10; i++) client.send(appendTo(i + 1, 100 + i, 1, 10, 2 + (i % 2)));
  assert.is(two.written.length + three.written.length, 0);
  client.flush();
  assert.equal(received(two.written), [[100, 102, 104, 106, 108]]);
  assert.equal(received(three.written), [[101, 103, 105, 107, 109]]);
  const after = KERNELS.calls.raftMessageEncode;
  const calls = after.js + after.wasm + after.simd;
  assert.is(calls - (before.js + before.wasm + before.simd), 1);
});

test("messages that come before there is a connection go out with it", async () => {
  const { client, net, pd } = setUp();
  for (let i = 0; i < 5; i++) client.send(appendTo(1, 10 + i, 1, 10));
  client.flush();
  await settle();
  assert.is(net.last.address, "store2:1");
  assert.is(net.last.method, "BatchRaft");
  assert.equal(received(net.last.written), [[10, 11, 12, 13, 14]]);
  assert.is(pd.asked, 1);
});

test("frames are cut at the number of messages and at the bytes", async () => {
  const { client, net, frames } = await connected({ raftMsgMaxBatchSize: 4 });
  for (let i = 0; i < 10; i++) client.send(appendTo(1, 10 + i, 1, 10));
  client.flush();
  assert.equal(frames, [4, 4, 2]);
  assert.equal(received(net.last.written), [
    [10, 11, 12, 13],
    [14, 15, 16, 17],
    [18, 19],
  ]);

  const small = await connected({ maxGrpcSendMsgLen: 1 << 20 });
  const limit = frameMaxBytes({ ...RAFT_TRANSPORT_DEFAULTS, maxGrpcSendMsgLen: 1 << 20 });
  assert.is(limit, 1 << 19);
  for (let i = 0; i < 5; i++) small.client.send(appendTo(1, 10 + i, 1, 200_000));
  small.client.flush();
  assert.equal(received(small.net.last.written), [[10, 11], [12, 13], [14]]);
  assert.ok(small.net.last.written.every(({ length }) => length <= limit));
});

test("a full queue loses the message and says so", async () => {
  const { client, events, counters } = setUp({ raftClientQueueSize: 3 });
  const results = [1, 2, 3, 4].map((i) => client.send(appendTo(i, 6, 1, 10)));
  assert.equal(results, ["queued", "queued", "queued", "full"]);
  assert.equal(events.unreachable, ["4/42"]);
  assert.is(counters.lost.full, 1);
  const bytes = setUp({ raftClientQueueMaxBytes: 1000 });
  assert.is(bytes.client.send(appendTo(1, 6, 1, 990)), "queued");
  assert.is(bytes.client.send(appendTo(1, 7, 1, 10)), "full");
});

test("room in the queue comes back when messages leave", async () => {
  const { client, net } = await connected({ raftClientQueueSize: 2 });
  for (let round = 0; round < 5; round++) {
    assert.is(client.send(appendTo(1, round, 1, 10)), "queued");
    assert.is(client.send(appendTo(2, round, 1, 10)), "queued");
    assert.is(client.send(appendTo(3, round, 1, 10)), "full");
    client.flush();
  }
  assert.is(net.last.written.length, 5);
});

test("a slow reader gets larger frames later, in order", async () => {
  const { client, net } = await connected();
  net.last.hasRoom = false;
  for (let round = 0; round < 6; round++) {
    client.send(appendTo(1, 10 + round, 1, 10));
    client.flush();
  }
  assert.equal(received(net.last.written), [[10]]);
  net.last.drain();
  assert.equal(received(net.last.written), [[10], [11, 12, 13, 14, 15]]);
});

test("what waited for a drain goes before what comes after", async () => {
  const { client, net } = await connected();
  net.last.hasRoom = false;
  for (let i = 0; i < 3; i++) client.send(appendTo(1, 10 + i, 1, 400));
  client.flush();
  client.send(appendTo(1, 13, 1, 10));
  client.flush();
  net.last.drain();
  client.send(appendTo(1, 14, 1, 10));
  client.flush();
  assert.equal(received(net.last.written).flat(), [10, 11, 12, 13, 14]);
});

test("a failed connection: queue reported, store reported, backoff doubles up to its bound", async () => {
  const { client, net, timers, events, counters, pd } = await connected();
  net.last.hasRoom = false;
  client.send(appendTo(1, 10, 1, 10));
  client.flush();
  client.send(appendTo(2, 11, 1, 10));
  client.flush();
  net.last.sent();
  net.last.hasRoom = true;
  net.last.drain();
  net.last.fail(UNAVAILABLE);
  assert.equal(events.unreachable, ["2/22"], "what has left is not reported, the rest is");
  assert.equal(events.stores, [2]);
  assert.is(counters.lost.unreachable, 1);
  const waits = [1000, 2000, 4000, 5000, 5000];
  for (const [i, wait] of waits.entries()) {
    client.send(appendTo(3, 20 + i, 1, 10));
    timers.advance(wait - 1);
    await settle();
    assert.is(net.streams.length, 1 + i, `attempt ${i} does not come early`);
    timers.advance(1);
    await settle();
    assert.is(net.streams.length, 2 + i, `attempt ${i}`);
    assert.equal(received(net.last.written), [[20 + i]], "what was sent meanwhile goes out");
    net.last.fail(UNAVAILABLE);
  }
  assert.is(events.stores.length, 6);
  assert.is(pd.asked, 6, "the address is asked anew after each failure");
});

test("a connection that was up starts with the first backoff again", async () => {
  const { client, net, timers } = await connected();
  for (let i = 0; i < 3; i++) {
    net.last.fail(UNAVAILABLE);
    client.send(appendTo(1, 10, 1, 10));
    timers.advance(1000);
    await settle();
    assert.is(net.streams.length, 2 + i);
    net.last.sent();
  }
});

test("no connection in time is a failure, too", async () => {
  const { client, net, timers, events } = setUp();
  client.send(appendTo(1, 10, 1, 10));
  await settle();
  timers.advance(RAFT_TRANSPORT_DEFAULTS.maxBackoffMs);
  assert.ok(net.last.isCancelled);
  assert.equal(events.stores, [2]);
  assert.is(net.closed, 1);
});

test("without messages nobody reconnects", async () => {
  const { net, timers } = await connected();
  net.last.fail(UNAVAILABLE);
  timers.advance(60_000);
  await settle();
  assert.is(net.streams.length, 1);
  assert.is(timers.pending, 0);
});

test("an unknown address is a failure; a removed store is never asked for again", async () => {
  const { client, net, timers, pd, events, counters } = setUp();
  client.send(appendTo(1, 10, 1, 10, 9));
  await settle();
  assert.equal(events.unreachable, ["1/19"]);
  assert.equal(events.stores, [9]);
  pd.stores.set(9n, { address: "", removed: true });
  client.send(appendTo(1, 11, 1, 10, 9));
  timers.advance(1000);
  await settle();
  assert.is(pd.asked, 2);
  assert.is(client.send(appendTo(1, 12, 1, 10, 9)), "full");
  timers.advance(60_000);
  await settle();
  assert.is(pd.asked, 2);
  assert.is(net.streams.length, 0);
  assert.is(counters.lost.tombstone, 2);
  assert.equal(counters.resolved, { resolve: 2, success: 0, failed: 1, tombstone: 1 });
});

test("UNIMPLEMENTED: the same messages go out one by one on a Raft stream", async () => {
  const { client, net, events } = await connected();
  net.last.hasRoom = false;
  client.send(appendTo(1, 10, 1, 10));
  client.flush();
  client.send(appendTo(1, 11, 1, 10));
  client.send(appendTo(1, 12, 1, 10));
  client.flush();
  net.hasRoom = true;
  net.last.fail({ code: 12, details: "unknown method" });
  assert.is(net.last.method, "Raft");
  assert.is(net.last.written.length, 3);
  client.send(appendTo(1, 13, 1, 10));
  client.flush();
  const frames = net.last.written.map((bytes) => Uint8Array.of(0x0a, bytes.length, ...bytes));
  assert.equal(received(frames).flat(), [10, 11, 12, 13], "what had not left is sent again");
  assert.equal(events.stores, []);
});

test("UNIMPLEMENTED for both is a failure", async () => {
  const { net, events } = await connected();
  net.last.fail({ code: 12, details: "unknown method" });
  net.last.fail({ code: 12, details: "unknown method" });
  assert.equal(events.stores, [2]);
});

test("a region keeps to one of several connections; regions spread", async () => {
  const { client, net } = setUp({ grpcRaftConnNum: 4 });
  for (let i = 0; i < 200; i++) client.send(appendTo((i % 50) + 1, i, 1, 10));
  await settle();
  assert.is(net.streams.length, 4);
  const seen = new Map<number, number>();
  for (const [place, { written }] of net.streams.entries()) {
    for (const frame of CODEC.decodeFrames(written)) {
      for (const message of frame as RaftMessage[]) {
        assert.is(seen.get(message.regionId) ?? place, place);
        seen.set(message.regionId, place);
      }
    }
  }
  assert.is(seen.size, 50);
});

test("a busy event loop: fewer frames, more messages in each", async () => {
  const rounds = 40;
  const run = async (load: number) => {
    const parts = await connected({ heavyLoadWaitMs: 10 }, () => load);
    for (let round = 0; round < rounds; round++) {
      for (let region = 1; region <= 3; region++) parts.client.send(appendTo(region, round, 1, 10));
      parts.client.flush();
      parts.timers.advance(1);
    }
    parts.timers.advance(10);
    return parts;
  };
  const calm = await run(0.74);
  const busy = await run(0.76);
  assert.equal(calm.frames, Array(rounds).fill(3));
  assert.is(calm.counters.delayedFlushes, 0);
  assert.ok(busy.frames.length <= rounds / 8, `${busy.frames.length} frames`);
  assert.ok(Math.max(...busy.frames) >= 30, "frames hold the messages of ten rounds");
  assert.is(
    busy.frames.reduce((sum, n) => sum + n, 0),
    3 * rounds,
    "and nothing is lost",
  );
  assert.equal(received(busy.net.last.written).flat(), received(calm.net.last.written).flat());
});

test("a full frame does not wait, however busy the loop is", async () => {
  const { client, frames } = await connected(
    { heavyLoadWaitMs: 10, raftMsgMaxBatchSize: 8 },
    () => 1,
  );
  for (let i = 0; i < 8; i++) client.send(appendTo(1, i, 1, 10));
  client.flush();
  assert.equal(frames, [8]);
});

test("without heavy-load-wait-duration nothing is held back", async () => {
  const { client, frames } = await connected({}, () => 1);
  client.send(appendTo(1, 1, 1, 10));
  client.flush();
  assert.equal(frames, [1]);
});

test("order holds when a stream fails while a round is held back", async () => {
  const { client, net, timers } = await connected({ heavyLoadWaitMs: 10 }, () => 1);
  client.send(appendTo(1, 10, 1, 10));
  client.flush();
  net.last.fail(UNAVAILABLE);
  client.send(appendTo(1, 11, 1, 10));
  client.flush();
  timers.advance(2000);
  await settle();
  client.send(appendTo(1, 12, 1, 10));
  client.flush();
  timers.advance(10);
  await settle();
  assert.equal(received(net.last.written).flat(), [10, 11, 12]);
});

test("close cuts streams and timers and reports nothing", async () => {
  const { client, net, timers, events } = await connected({ heavyLoadWaitMs: 10 }, () => 1);
  client.send(appendTo(1, 10, 1, 10));
  client.flush();
  client.close();
  assert.ok(net.last.isCancelled);
  assert.is(timers.pending, 0);
  assert.is(client.send(appendTo(1, 11, 1, 10)), "full");
  assert.equal(events.unreachable, []);
});

test.run();
