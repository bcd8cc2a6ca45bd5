/** Incoming snapshot streams against a slow disk; without sockets. */
import { EventEmitter } from "node:events";
import { Metadata } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { raft_serverpb } from "../../../src/pb/index.js";
import { encodeRaftMessage } from "../../../src/raftstore/index.js";
import { newRaftCounters } from "../../../src/server/raft_metrics.js";
import type { RaftCall } from "../../../src/server/raft_server.js";
import { SnapReceiver } from "../../../src/server/snap_receiver.js";
import { ManualTimers, QUIET_LOGGER, RecordedEvents } from "../../support/fake_raft_net.js";
import { type FakeSink, FakeSnapshots, snapshotTo } from "../../support/fake_snapshots.js";

class FakeCall extends EventEmitter {
  readonly metadata = new Metadata();
  readonly pause = (): this => this;
  readonly resume = (): this => this;

  send(chunk: raft_serverpb.ISnapshotChunk): void {
    this.emit("data", Buffer.from(raft_serverpb.SnapshotChunk.encode(chunk).finish()));
  }
}

function setUp() {
  const events = new RecordedEvents();
  const snapshots = new FakeSnapshots();
  const timers = new ManualTimers();
  const counters = newRaftCounters();
  const receiver = new SnapReceiver(
    { storeId: 2, clusterId: 7n },
    { snapIdleTimeoutMs: 1000 },
    { events, snapshots, timers, logger: QUIET_LOGGER, counters },
  );
  const call = new FakeCall();
  const answers: unknown[] = [];
  receiver.open(call as unknown as RaftCall, (error) => void answers.push(error));
  const message = snapshotTo(4, 100, 2);
  call.send({ message: raft_serverpb.RaftMessage.decode(encodeRaftMessage(message)) });
  const sink = snapshots.sinks[0] as FakeSink;
  return { receiver, events, timers, counters, call, answers, sink };
}

test("the end overtakes the last chunk while the disk is slow: the chunk counts", () => {
  const { call, sink, events, answers } = setUp();
  let go = (): void => {};
  sink.expected = 2;
  call.send({ data: Uint8Array.of(1) });
  sink.gate = (run) => {
    go = run;
  };
  call.send({ data: Uint8Array.of(2) });
  call.emit("end");
  assert.equal(answers, []);
  assert.not.ok(sink.isFinished);
  go();
  assert.is(sink.chunks.length, 2);
  assert.ok(sink.isFinished);
  assert.equal(answers, [null]);
  assert.is(events.messages.length, 1);
});

test("a disk that never gets ready ends with the deadline, and answers no more", () => {
  const { call, sink, timers, answers, events } = setUp();
  let go = (): void => {};
  sink.gate = (run) => {
    go = run;
  };
  call.send({ data: Uint8Array.of(1) });
  call.emit("end");
  timers.advance(1000);
  assert.is((answers[0] as { code: number }).code, 4);
  assert.ok(sink.isAborted);
  go();
  call.emit("cancelled");
  assert.is(answers.length, 1);
  assert.equal(sink.chunks, []);
  assert.equal(events.messages, []);
  assert.is(timers.pending, 0);
});

test("a sender that goes gets no answer; a server that stops gives one", () => {
  const gone = setUp();
  gone.call.emit("cancelled");
  assert.ok(gone.sink.isAborted);
  assert.equal(gone.answers, []);
  const stopped = setUp();
  stopped.receiver.stop();
  assert.ok(stopped.sink.isAborted);
  assert.is((stopped.answers[0] as { code: number }).code, 14);
  assert.is(stopped.counters.snapshots.receiveFailed, 1);
});

test.run();
