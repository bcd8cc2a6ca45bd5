/** Incoming raft streams turn by turn, addresses of stores, metrics; without sockets. */
import { EventEmitter } from "node:events";
import { Metadata } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { loadKernels } from "../../../src/kernel/index.js";
import { PromMetrics } from "../../../src/node/metrics.js";
import { MessageCodec, type RaftMessage } from "../../../src/raftstore/index.js";
import { newRaftCounters, registerRaftMetrics } from "../../../src/server/raft_metrics.js";
import { type RaftCall, RaftServer } from "../../../src/server/raft_server.js";
import { StoreResolver } from "../../../src/server/resolve.js";
import { FakeDirectory, QUIET_LOGGER, RecordedEvents } from "../../support/fake_raft_net.js";
import { appendTo } from "../../support/raft_messages.js";

const KERNELS = loadKernels({ build: "js", memoryBytes: 8 << 20 });
const CODEC = new MessageCodec(KERNELS);
const LIMITS = { messagesMax: 256, bytesMax: 64 << 20 };

class FakeCall extends EventEmitter {
  readonly metadata = new Metadata();
  paused = 0;
  resumed = 0;
  readonly answers: unknown[] = [];

  pause(): this {
    this.paused++;
    return this;
  }

  resume(): this {
    this.resumed++;
    return this;
  }

  getPeer(): string {
    return "peer";
  }

  send(...messages: readonly RaftMessage[]): void {
    const targets = messages.map(() => 0);
    for (const { bytes } of CODEC.encodeFrames(messages, targets, 1, LIMITS)) {
      this.emit("data", Buffer.from(bytes));
    }
  }
}

function setUp() {
  const events = new RecordedEvents();
  const counters = newRaftCounters();
  const turns: (() => void)[] = [];
  const server = new RaftServer(
    { storeId: 2, clusterId: 7n },
    { codec: CODEC, events, logger: QUIET_LOGGER, counters, defer: (turn) => turns.push(turn) },
  );
  const open = (isSingle = false): FakeCall => {
    const call = new FakeCall();
    const respond = (error: unknown): void => void call.answers.push(error);
    server.open(call as unknown as RaftCall, respond, isSingle);
    return call;
  };
  const runTurns = (): void => {
    for (const turn of turns.splice(0)) turn();
  };
  return { server, events, counters, turns, open, runTurns };
}

test("frames of all streams of a turn are decoded by one kernel call", () => {
  const { events, open, turns, runTurns } = setUp();
  const calls = Array.from({ length: 10 }, () => open());
  for (const [i, call] of calls.entries()) {
    call.send(appendTo(i + 1, 6, 1, 10), appendTo(i + 1, 7, 1, 10));
  }
  assert.is(turns.length, 1);
  assert.equal(events.messages, []);
  const before = KERNELS.calls.raftMessageDecode.js;
  runTurns();
  assert.is(KERNELS.calls.raftMessageDecode.js - before, 1);
  assert.is(events.messages.length, 20);
});

test("streams are not read while too many bytes wait for a turn", () => {
  const { events, open, runTurns } = setUp();
  const call = open();
  for (let i = 0; i < 5; i++) call.send(appendTo(1, 6 + i, 1, 8 << 20));
  assert.ok(call.paused > 0);
  assert.is(call.resumed, 0);
  runTurns();
  assert.is(call.resumed, 1);
  assert.is(events.messages.length, 5);
});

test("what came before the end counts, and the answer comes behind it", () => {
  const { events, open, runTurns } = setUp();
  const call = open();
  call.send(appendTo(1, 6, 1, 10));
  call.emit("end");
  assert.equal(call.answers, []);
  runTurns();
  assert.is(events.messages.length, 1);
  assert.equal(call.answers, [null]);
});

test("what came before a stream was cut counts; a refused stream gives nothing more", () => {
  const { events, counters, open, runTurns } = setUp();
  const cut = open();
  cut.send(appendTo(1, 6, 1, 10));
  cut.emit("cancelled");
  const wrong = open();
  wrong.send(appendTo(2, 6, 1, 10), appendTo(3, 6, 1, 10, 9), appendTo(4, 6, 1, 10));
  wrong.send(appendTo(5, 6, 1, 10));
  runTurns();
  assert.equal(
    events.messages.map(({ regionId }) => regionId),
    [1, 2],
  );
  assert.equal(wrong.answers, [{ code: 9, details: "to store id 9, mine 2" }]);
  assert.equal(cut.answers, []);
  assert.is(counters.dropped.mismatch_store_id, 1);
});

test("a server that stops ends its streams and refuses new ones", () => {
  const { server, events, open, runTurns } = setUp();
  const call = open();
  call.send(appendTo(1, 6, 1, 10));
  server.stop();
  runTurns();
  assert.is((call.answers[0] as { code: number }).code, 14);
  assert.is((open().answers[0] as { code: number }).code, 14);
  assert.equal(events.messages, []);
});

test("an address is asked once, by many at a time too, and again when it failed", async () => {
  const pd = new FakeDirectory();
  const counters = newRaftCounters();
  const resolver = new StoreResolver(pd, counters);
  assert.is(await resolver.resolve(2), "failed");
  pd.stores.set(2n, { address: "a:1", removed: false });
  const answers = await Promise.all([resolver.resolve(2), resolver.resolve(2)]);
  assert.equal(answers, [{ address: "a:1" }, { address: "a:1" }]);
  assert.is(pd.asked, 2);
  await resolver.resolve(2);
  assert.is(pd.asked, 2);
  pd.stores.set(2n, { address: "b:1", removed: false });
  resolver.forget(2);
  assert.equal(await resolver.resolve(2), { address: "b:1" });
  pd.stores.set(2n, { address: "", removed: true });
  resolver.forget(2);
  assert.is(await resolver.resolve(2), "removed");
  assert.equal(counters.resolved, { resolve: 4, success: 2, failed: 1, tombstone: 1 });
});

test("metrics have TiKV's names and the counters' values", async () => {
  const metrics = new PromMetrics();
  const counters = newRaftCounters();
  const observer = registerRaftMetrics(metrics, counters);
  counters.received = 3;
  counters.flushes = 4;
  counters.lost.full = 5;
  counters.resolved.success = 6;
  counters.snapshots.sent = 7;
  observer.onFrame(8);
  const text = await metrics.scrape();
  for (const line of [
    "tikv_server_raft_message_recv_total 3",
    "tikv_server_raft_message_flush_total 4",
    'tikv_server_report_failure_msg_total{type="full"} 5',
    'tikv_server_resolve_store_total{type="success"} 6',
    'tikv_snapshot_task_total{type="send"} 7',
    "tikv_server_raft_message_batch_size_sum 8",
  ]) {
    assert.ok(text.includes(`\n${line}\n`), line);
  }
});

test.run();
