/** Snapshots between stores over real gRPC on loopback. @timeout 60 */
import {
  Client,
  type ClientWritableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { raft_serverpb } from "../../../src/pb/index.js";
import { encodeRaftMessage, type RaftMessage } from "../../../src/raftstore/index.js";
import { FakeDirectory } from "../../support/fake_raft_net.js";
import { FakeSource, snapshotTo } from "../../support/fake_snapshots.js";
import { type EndOptions, type RaftEnd, startRaftEnd } from "../../support/raft_end.js";
import { appendTo, showMessage } from "../../support/raft_messages.js";
import { within } from "../../support/within.js";

const WAIT_MS = 10_000;
const CHUNK = 1 << 20;

function chunks(count: number, bytes = CHUNK): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => new Uint8Array(bytes).fill(i + 1));
}

async function pair(transport: EndOptions["transport"] = {}): Promise<[RaftEnd, RaftEnd]> {
  const pd = new FakeDirectory();
  return [await startRaftEnd(1, pd, { transport }), await startRaftEnd(2, pd, { transport })];
}

async function ended({ events }: RaftEnd, count = 1): Promise<readonly string[]> {
  await within(WAIT_MS, "the sender hears the end", () => events.snapshots.length >= count);
  return events.snapshots;
}

interface RawSnapshot {
  readonly call: ClientWritableStream<Buffer>;
  readonly end: Promise<{ code: number; details: string }>;
  send(chunk: raft_serverpb.ISnapshotChunk): void;
}

/** A Snapshot stream that the test writes by itself. */
function rawSnapshot(address: string): RawSnapshot {
  const client = new Client(address, credentials.createInsecure());
  const same = (bytes: Buffer): Buffer => bytes;
  let over: (error: ServiceError | null) => void = () => {};
  const end = new Promise<{ code: number; details: string }>((resolve) => {
    over = (error) => {
      client.close();
      resolve({ code: error?.code ?? status.OK, details: error?.details ?? "" });
    };
  });
  const path = "/tikvpb.Tikv/Snapshot";
  const call = client.makeClientStreamRequest(path, same, same, new Metadata(), (error) => {
    over(error);
  });
  call.on("error", () => {});
  return {
    call,
    end,
    send: (chunk) => call.write(Buffer.from(raft_serverpb.SnapshotChunk.encode(chunk).finish())),
  };
}

function headOf(message: RaftMessage): raft_serverpb.ISnapshotChunk {
  return { message: raft_serverpb.RaftMessage.decode(encodeRaftMessage(message)) };
}

test("a snapshot arrives whole, then its message, then Done", async () => {
  const [one, two] = await pair();
  const parts = [...chunks(5), new Uint8Array(17).fill(9)];
  const source = new FakeSource(parts);
  one.snapshots.sources.set(4, source);
  const message = snapshotTo(4, 100, 2);
  assert.is(one.raft.transport.send(message), "queued");
  assert.equal(await ended(one), ["4/42 sent"]);
  const [sink] = two.snapshots.sinks;
  assert.ok(sink?.isFinished && !sink.isAborted);
  assert.equal(
    sink.chunks.map(({ length }) => length),
    [...Array(5).fill(CHUNK), 17],
  );
  assert.equal(
    sink.chunks.map((chunk) => chunk[0]),
    [1, 2, 3, 4, 5, 9],
  );
  assert.is(showMessage(two.events.messages), showMessage([message]));
  assert.ok(source.isClosed);
  assert.is(one.raft.counters.snapshots.sent, 1);
  assert.is(two.raft.counters.snapshots.received, 1);
  one.stop();
  two.stop();
});

test("the receiver is full: RESOURCE_EXHAUSTED, reported as failed", async () => {
  const [one, two] = await pair();
  one.snapshots.sources.set(4, new FakeSource(chunks(1)));
  two.snapshots.refusal = "too many receiving snapshots";
  one.raft.transport.send(snapshotTo(4, 100, 2));
  assert.equal(await ended(one), ["4/42 failed"]);
  assert.equal(two.events.messages, []);
  const raw = rawSnapshot(two.server.address);
  raw.send(headOf(snapshotTo(4, 100, 2)));
  const details = "too many receiving snapshots";
  assert.equal(await raw.end, { code: status.RESOURCE_EXHAUSTED, details });
  one.stop();
  two.stop();
});

test("a limit of sends: one more fails at once, a free place serves the next", async () => {
  const [one, two] = await pair({ concurrentSendSnapLimit: 1 });
  let go = (): void => {};
  one.snapshots.sources.set(
    4,
    new FakeSource(chunks(1), (run) => {
      go = run;
    }),
  );
  one.raft.transport.send(snapshotTo(4, 100, 2));
  one.raft.transport.send(snapshotTo(5, 100, 2));
  assert.equal(one.events.snapshots, ["5/52 failed"]);
  await within(WAIT_MS, "the first has begun", () => two.snapshots.sinks.length === 1);
  go();
  go();
  assert.equal(await ended(one, 2), ["5/52 failed", "4/42 sent"]);
  one.snapshots.sources.set(6, new FakeSource(chunks(1)));
  one.raft.transport.send(snapshotTo(6, 100, 2));
  assert.is((await ended(one, 3)).at(-1), "6/62 sent");
  one.stop();
  two.stop();
});

test("a snapshot that is gone, and an address that nobody knows", async () => {
  const [one, two] = await pair();
  one.raft.transport.send(snapshotTo(4, 100, 2));
  one.raft.transport.send(snapshotTo(4, 100, 9));
  assert.equal([...(await ended(one, 2))].sort(), ["4/42 failed", "4/49 failed"]);
  assert.is(two.snapshots.sinks.length, 0);
  one.stop();
  two.stop();
});

test("chunks wait for the source's rate limit and for the receiver's disk", async () => {
  const [one, two] = await pair();
  const waiting: (() => void)[] = [];
  const hold = (go: () => void): void => void waiting.push(go);
  one.snapshots.sources.set(4, new FakeSource(chunks(3, 10), hold));
  two.snapshots.onSink = (sink) => {
    sink.gate = hold;
  };
  one.raft.transport.send(snapshotTo(4, 100, 2));
  for (let chunk = 0; chunk < 3; chunk++) {
    await within(WAIT_MS, "the sender asks", () => waiting.length >= 1);
    assert.is(two.snapshots.sinks[0]?.chunks.length ?? 0, chunk);
    waiting.shift()?.();
    // Both ask now: the sender for the next chunk, the receiver for this one.
    await within(WAIT_MS, "both ask", () => waiting.length === 2);
    assert.is(two.snapshots.sinks[0]?.chunks.length, chunk);
    waiting.pop()?.();
    assert.is(two.snapshots.sinks[0]?.chunks.length, chunk + 1);
  }
  waiting.shift()?.();
  assert.equal(await ended(one), ["4/42 sent"]);
  one.stop();
  two.stop();
});

test("a sender that is cut half way: what came is given up", async () => {
  const [one, two] = await pair();
  const source: FakeSource = new FakeSource(chunks(9), (go) => {
    if (source.sent < 3) go();
  });
  one.snapshots.sources.set(4, source);
  two.snapshots.onSink = (sink) => {
    sink.expected = 9;
  };
  one.raft.transport.send(snapshotTo(4, 100, 2));
  await within(WAIT_MS, "three chunks came", () => two.snapshots.sinks[0]?.chunks.length === 3);
  one.stop();
  await within(WAIT_MS, "the sink is aborted", () => two.snapshots.sinks[0]?.isAborted);
  assert.equal(two.events.messages, []);
  assert.is(two.raft.counters.snapshots.receiveFailed, 1);
  assert.equal(one.events.snapshots, [], "a store that stops reports nothing");
  two.stop();
});

test("a receiver that goes away half way: reported as failed, once", async () => {
  const [one, two] = await pair();
  const source: FakeSource = new FakeSource(chunks(9), (go) => {
    if (source.sent < 2) go();
  });
  one.snapshots.sources.set(4, source);
  one.raft.transport.send(snapshotTo(4, 100, 2));
  await within(WAIT_MS, "chunks came", () => two.snapshots.sinks[0]?.chunks.length === 2);
  two.stop();
  assert.equal(await ended(one), ["4/42 failed"]);
  assert.ok(source.isClosed);
  assert.ok(two.snapshots.sinks[0]?.isAborted);
  one.stop();
});

test("a damaged chunk and a snapshot that does not check: DATA_LOSS, nothing applied", async () => {
  const [one, two] = await pair();
  for (const [region, field] of [
    [4, "writeProblem"],
    [5, "finishProblem"],
  ] as const) {
    two.snapshots.onSink = (sink) => {
      sink[field] = "invalid checksum";
    };
    one.snapshots.sources.set(region, new FakeSource(chunks(2)));
    one.raft.transport.send(snapshotTo(region, 100, 2));
    await within(WAIT_MS, field, () => one.events.snapshots.length === region - 3);
    assert.ok(two.snapshots.sinks.at(-1)?.isAborted, field);
    const raw = rawSnapshot(two.server.address);
    raw.send(headOf(snapshotTo(region, 100, 2)));
    raw.send({ data: Uint8Array.of(1) });
    raw.call.end();
    assert.equal(await raw.end, { code: status.DATA_LOSS, details: "invalid checksum" }, field);
  }
  assert.equal(two.events.messages, []);
  assert.equal(one.events.snapshots, ["4/42 failed", "5/52 failed"]);
  one.stop();
  two.stop();
});

test("no progress ends a stream, on either side", async () => {
  const [one, two] = await pair({ snapIdleTimeoutMs: 100 });
  const raw = rawSnapshot(two.server.address);
  raw.send(headOf(snapshotTo(4, 100, 2)));
  const details = "the snapshot made no progress";
  assert.equal(await raw.end, { code: status.DEADLINE_EXCEEDED, details });
  assert.ok(two.snapshots.sinks[0]?.isAborted);
  one.snapshots.sources.set(4, new FakeSource(chunks(9), () => {}));
  one.raft.transport.send(snapshotTo(4, 100, 2));
  assert.equal(await ended(one), ["4/42 failed"]);
  one.stop();
  two.stop();
});

test("hostile snapshot streams get a status, and no sink survives them", async () => {
  const [one, two] = await pair();
  const head = headOf(snapshotTo(4, 100, 2));
  const bad: Record<string, [readonly raft_serverpb.ISnapshotChunk[], number, RegExp]> = {
    "no chunk": [[], status.INVALID_ARGUMENT, /ended before its first chunk/],
    "no message": [[{ data: Uint8Array.of(1) }], status.INVALID_ARGUMENT, /no raft message/],
    "an append": [[headOf(appendTo(4, 6, 1, 1))], status.INVALID_ARGUMENT, /does not announce/],
    "two messages": [[head, head], status.INVALID_ARGUMENT, /a second message/],
    "another store": [[headOf(snapshotTo(4, 100, 3))], status.FAILED_PRECONDITION, /mine 2/],
  };
  for (const [name, [parts, code, details]] of Object.entries(bad)) {
    const raw = rawSnapshot(two.server.address);
    for (const part of parts) raw.send(part);
    raw.call.end();
    const end = await raw.end;
    assert.is(end.code, code, name);
    assert.match(end.details, details, name);
  }
  const raw = rawSnapshot(two.server.address);
  raw.call.write(Buffer.from([0x0a, 0xff, 0xff]));
  assert.match((await raw.end).details, /cannot decode/);
  assert.ok(two.snapshots.sinks.every((sink) => sink.isAborted));
  assert.equal(two.events.messages, []);
  assert.is(two.raft.counters.dropped.malformed, 5);
  assert.is(two.raft.counters.dropped.mismatch_store_id, 1);
  one.stop();
  two.stop();
});

test("large snapshots beside raft messages: heartbeats are not held up behind them", async () => {
  const [one, two] = await pair();
  one.snapshots.sources.set(4, new FakeSource(chunks(64)));
  one.raft.transport.send(snapshotTo(4, 100, 2));
  let behind = 0;
  while (one.events.snapshots.length === 0) {
    const before = two.events.messages.length;
    one.raft.transport.send(appendTo(1, 6, 1, 10));
    one.raft.transport.flush();
    await within(WAIT_MS, "a message arrives", () => two.events.messages.length > before);
    if (!two.snapshots.sinks[0]?.isFinished) behind++;
  }
  assert.ok(behind > 0, "messages arrived while the snapshot was on its way");
  assert.is(two.snapshots.sinks[0]?.chunks.length, 64);
  one.stop();
  two.stop();
});

test.run();
