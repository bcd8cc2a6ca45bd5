/** Raft messages between stores over real gRPC on loopback. @timeout 60 */
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { EngineFaults, FaultEngine } from "../../../src/engine/fault.js";
import { loadKernels } from "../../../src/kernel/index.js";
import { MessageCodec, type RaftMessage } from "../../../src/raftstore/index.js";
import { FakeDirectory } from "../../support/fake_raft_net.js";
import { type RaftEnd, serveRaft, startRaftEnd } from "../../support/raft_end.js";
import { appendTo, showMessage } from "../../support/raft_messages.js";
import { memoryEngine } from "../../support/store_fixture.js";
import { startServed, unary } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

const WAIT_MS = 10_000;

function indexesOf({ events }: RaftEnd, regionId: number): number[] {
  return events.messages
    .filter((message) => message.regionId === regionId)
    .map(({ message }) => message?.entries[0]?.index ?? -1);
}

/** Sends `message` again and again, each flushed, until `end` has one more of its region. */
async function untilArrives(from: RaftEnd, end: RaftEnd, message: RaftMessage): Promise<void> {
  const before = end.events.messages.length;
  await within(WAIT_MS, "a message arrives", () => {
    from.raft.transport.send(message);
    from.raft.transport.flush();
    return end.events.messages.length > before;
  });
}

/** Opens a raw stream and writes `messages`; resolves with its end. */
function rawStream(
  address: string,
  method: string,
  messages: readonly Uint8Array[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<{ code: number; details: string }> {
  const client = new Client(address, credentials.createInsecure());
  const headers = new Metadata();
  for (const [name, value] of Object.entries(metadata)) headers.set(name, value);
  const same = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve) => {
    const path = `/tikvpb.Tikv/${method}`;
    const call = client.makeClientStreamRequest(path, same, same, headers, (error) => {
      client.close();
      resolve({ code: error?.code ?? status.OK, details: error?.details ?? "" });
    });
    call.on("error", () => {});
    for (const message of messages) call.write(Buffer.from(message));
    call.end();
  });
}

/** Counts the writes that came to it. */
class WatchedFaults extends EngineFaults {
  writes = 0;

  override beforeWrite(): Promise<void> {
    this.writes++;
    return super.beforeWrite();
  }
}

test("messages arrive whole and in order, in both directions, many a frame", async () => {
  const pd = new FakeDirectory();
  const one = await startRaftEnd(1, pd);
  const two = await startRaftEnd(2, pd);
  const sent: RaftMessage[] = [];
  for (let round = 0; round < 50; round++) {
    for (let region = 1; region <= 8; region++) {
      const message = appendTo(region, 1 + round, 1 + (round % 3), 50);
      sent.push(message);
      assert.is(one.raft.transport.send(message), "queued");
    }
    two.raft.transport.send(appendTo(1, 1 + round, 1, 10, 1));
    one.raft.transport.flush();
    two.raft.transport.flush();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await within(WAIT_MS, "all arrive", () => two.events.messages.length === sent.length);
  await within(WAIT_MS, "the answers arrive", () => one.events.messages.length === 50);
  assert.is(showMessage(two.events.messages), showMessage(sent));
  assert.ok(one.raft.counters.frames < sent.length / 4, `${one.raft.counters.frames} frames`);
  assert.is(two.raft.counters.received, sent.length);
  one.stop();
  two.stop();
});

test("a message as large as raft allows, and larger than the arena", async () => {
  const pd = new FakeDirectory();
  const one = await startRaftEnd(1, pd);
  const two = await startRaftEnd(2, pd);
  for (const [i, size] of [1 << 20, 8 << 20, 12 << 20].entries()) {
    one.raft.transport.send(appendTo(1, 10 + i, 1, size));
    one.raft.transport.flush();
  }
  await within(WAIT_MS, "all arrive", () => two.events.messages.length === 3);
  const sizes = two.events.messages.map(({ message }) => message?.entries[0]?.data.length);
  assert.equal(sizes, [1 << 20, 8 << 20, 12 << 20]);
  one.stop();
  two.stop();
});

test("a peer that restarts is found again; what was lost meanwhile is reported", async () => {
  const pd = new FakeDirectory();
  const one = await startRaftEnd(1, pd);
  const two = await startRaftEnd(2, pd);
  await untilArrives(one, two, appendTo(1, 6, 1, 10));
  const port = Number(two.server.address.split(":")[1]);
  two.stop();
  await within(WAIT_MS, "the loss is reported", () => one.events.stores.includes(2));
  for (let i = 0; i < 5; i++) one.raft.transport.send(appendTo(1, 10 + i, 1, 10));
  await within(WAIT_MS, "messages are reported", () => one.events.unreachable.length >= 5);
  const again = await startRaftEnd(2, pd, { port });
  await untilArrives(one, again, appendTo(1, 20, 1, 10));
  one.stop();
  again.stop();
});

test("an address that belongs to another store now: refused, asked of PD again", async () => {
  const pd = new FakeDirectory();
  const one = await startRaftEnd(1, pd);
  const two = await startRaftEnd(2, pd);
  const three = await startRaftEnd(3, pd);
  const right = pd.stores.get(2n);
  pd.stores.set(2n, { address: three.server.address, removed: false });
  one.raft.transport.send(appendTo(1, 6, 1, 10));
  await within(WAIT_MS, "the wrong store refuses", () => one.events.stores.includes(2));
  assert.is(three.raft.counters.dropped.mismatch_store_id, 1);
  assert.equal(three.events.messages, []);
  assert.ok(right !== undefined);
  pd.stores.set(2n, right);
  await untilArrives(one, two, appendTo(1, 7, 1, 10));
  for (const end of [one, two, three]) end.stop();
});

test("a store of another cluster is refused, in PD's words", async () => {
  const pd = new FakeDirectory();
  const two = await startRaftEnd(2, pd);
  const stranger = await startRaftEnd(1, pd, { clusterId: 8n });
  stranger.raft.transport.send(appendTo(1, 6, 1, 10));
  await within(WAIT_MS, "it is refused", () => stranger.events.stores.includes(2));
  assert.ok(two.raft.counters.dropped.mismatch_cluster > 0);
  assert.equal(two.events.messages, []);
  const end = await rawStream(two.server.address, "BatchRaft", [], { source_cluster_id: "8" });
  const details = "mismatch cluster id, need 7 but got 8";
  assert.equal(end, { code: status.FAILED_PRECONDITION, details });
  stranger.stop();
  two.stop();
});

test("a store without BatchRaft gets single messages", async () => {
  const pd = new FakeDirectory();
  const one = await startRaftEnd(1, pd);
  const two = await startRaftEnd(2, pd, { without: ["BatchRaft"] });
  await untilArrives(one, two, appendTo(1, 6, 1, 10));
  const before = two.events.messages.length;
  for (let i = 0; i < 20; i++) one.raft.transport.send(appendTo(2, 100 + i, 1, 10));
  one.raft.transport.flush();
  await within(WAIT_MS, "all arrive", () => indexesOf(two, 2).length === 20);
  assert.equal(
    indexesOf(two, 2),
    Array.from({ length: 20 }, (_, i) => 100 + i),
  );
  assert.ok(before > 0);
  assert.equal(one.events.stores, []);
  one.stop();
  two.stop();
});

test("hostile frames end their stream with a status; others go on", async () => {
  const pd = new FakeDirectory();
  const one = await startRaftEnd(1, pd);
  const two = await startRaftEnd(2, pd);
  const codec = new MessageCodec(loadKernels({ build: "js", memoryBytes: 4 << 20 }));
  const limits = { messagesMax: 99, bytesMax: 1 << 20 };
  const [good] = codec.encodeFrames([appendTo(9, 6, 1, 10)], [0], 1, limits);
  assert.ok(good !== undefined);
  const cut = good.bytes.subarray(0, good.bytes.length - 3);
  const bad: Record<string, Uint8Array> = {
    "half a frame": cut,
    "random bytes": Uint8Array.from({ length: 300 }, (_, i) => (i * 89) & 0xff),
    "an endless varint": new Uint8Array(20).fill(0xff),
    "a length behind the end": Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f),
  };
  for (const [name, bytes] of Object.entries(bad)) {
    for (const method of ["BatchRaft", "Raft"]) {
      const end = await rawStream(two.server.address, method, [bytes]);
      const details = "cannot decode the raft messages";
      assert.equal(end, { code: status.INVALID_ARGUMENT, details }, `${name}, ${method}`);
    }
  }
  assert.is(two.raft.counters.dropped.malformed, 8);
  assert.equal(two.events.messages, []);
  const ends = await rawStream(two.server.address, "BatchRaft", [good.bytes, cut, good.bytes]);
  assert.is(ends.code, status.INVALID_ARGUMENT);
  assert.is(two.events.messages.length, 1, "what came before counts, what comes behind does not");
  await untilArrives(one, two, appendTo(1, 6, 1, 10));
  one.stop();
  two.stop();
});

test("the answer Done comes at the end", async () => {
  const pd = new FakeDirectory();
  const two = await startRaftEnd(2, pd);
  for (const method of ["BatchRaft", "Raft"]) {
    const end = await rawStream(two.server.address, method, []);
    assert.equal(end, { code: status.OK, details: "" });
  }
  two.stop();
});

test("a store that does not read: the queue fills up, memory does not", async () => {
  const pd = new FakeDirectory();
  const one = await startRaftEnd(1, pd, { transport: { raftClientQueueMaxBytes: 8 << 20 } });
  const never = await serveRaft({ BatchRaft: () => {} });
  pd.stores.set(2n, { address: never.address, removed: false });
  let queued = 0;
  await within(WAIT_MS, "the queue is full", () => {
    for (let i = 0; i < 16; i++) {
      if (one.raft.transport.send(appendTo(1, 6, 1, 256 << 10)) === "full") return true;
      queued++;
    }
    one.raft.transport.flush();
    return false;
  });
  assert.ok(queued < 256, `${queued} messages of 256 KiB were taken`);
  assert.ok(one.events.unreachable.length > 0);
  one.stop();
  never.stop();
});

test("through the store's own server, and not without a transport", async () => {
  const pd = new FakeDirectory();
  const one = await startRaftEnd(1, pd);
  const two = await startRaftEnd(2, pd);
  const served = await startServed({ serverDeps: { raft: two.raft.service } });
  pd.stores.set(2n, { address: served.server.address, removed: false });
  for (let i = 0; i < 20; i++) one.raft.transport.send(appendTo(1, 10 + i, 1, 10));
  one.raft.transport.flush();
  await within(WAIT_MS, "all arrive", () => indexesOf(two, 1).length === 20);
  await served.stop();
  await within(WAIT_MS, "its stop ends the stream", () => one.events.stores.includes(2));
  const bare = await startServed();
  for (const method of ["BatchRaft", "Raft", "Snapshot"]) {
    assert.is((await rawStream(bare.server.address, method, [])).code, status.UNIMPLEMENTED);
  }
  await bare.stop();
  one.stop();
  two.stop();
});

test("a store that stops takes raft messages until its last request is answered", async () => {
  const pd = new FakeDirectory();
  const one = await startRaftEnd(1, pd);
  const two = await startRaftEnd(2, pd);
  const faults = new WatchedFaults();
  const engine = new FaultEngine(await memoryEngine(), faults, () => {});
  const served = await startServed({ engine, serverDeps: { raft: two.raft.service } });
  pd.stores.set(2n, { address: served.server.address, removed: false });
  await untilArrives(one, two, appendTo(1, 6, 1, 10));
  faults.holdWrites();
  const before = faults.writes;
  const { context } = served;
  const request = { context, key: utf8("k"), value: utf8("v") };
  const answer = unary(served.connect(), "RawPut", request);
  await within(WAIT_MS, "the write waits", () => faults.writes > before);
  const stopped = served.server.stop(WAIT_MS);
  await untilArrives(one, two, appendTo(1, 7, 1, 10));
  assert.equal(one.events.stores, [], "the stream is still there");
  faults.releaseWrites();
  assert.is((await answer).error, "");
  await within(WAIT_MS, "then the stream ends", () => one.events.stores.includes(2));
  await stopped;
  await served.stop();
  one.stop();
  two.stop();
});

test.run();
