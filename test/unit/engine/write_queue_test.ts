import { test } from "uvu";
import * as assert from "uvu/assert";
import { TikvError, utf8, utf8Decode } from "../../../src/base/index.js";
import { WriteBatchBuilder, writeRecords } from "../../../src/engine/index.js";
import { WriteQueue } from "../../../src/engine/write_queue.js";

const LIMITS = { groupBytesMax: 1000, pendingBytesMax: 2500 };

/** A disk whose writes end when the test says so. */
class Port {
  readonly calls: { readonly keys: string[]; readonly sync: boolean }[] = [];
  readonly pending: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  logSyncs = 0;

  apply(representation: Uint8Array, sync: boolean): Promise<void> {
    const keys: string[] = [];
    for (const record of writeRecords(representation)) {
      if (record.kind === "put") keys.push(utf8Decode(record.key.subarray(1)));
    }
    this.calls.push({ keys, sync });
    return this.wait();
  }

  syncLog(): Promise<void> {
    this.logSyncs++;
    return this.wait();
  }

  private wait(): Promise<void> {
    return new Promise((resolve, reject) => this.pending.push({ resolve, reject }));
  }

  async finish(): Promise<void> {
    this.pending.shift()?.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function batch(key: string, size = 1): Uint8Array {
  const builder = new WriteBatchBuilder();
  builder.put("default", utf8(key), new Uint8Array(size));
  return builder.bytes();
}

const unexpected = (error: Error): void => {
  throw error;
};

const codeOf = (write: Promise<void>): Promise<string> =>
  write.then(
    () => "resolved",
    (error: unknown) => (error instanceof TikvError ? error.code : (error as Error).message),
  );

test("one native write at a time; the rest merges in order and syncs if any asks", async () => {
  const port = new Port();
  const queue = new WriteQueue(port, unexpected);
  const writes = ["a", "b", "c", "d"].map((key) => queue.submit(batch(key), { sync: key === "c" }));
  assert.equal(port.calls, [{ keys: ["a"], sync: false }]);
  await port.finish();
  assert.equal(port.calls.slice(1), [{ keys: ["b", "c", "d"], sync: true }]);
  await port.finish();
  await Promise.all(writes);
  const { writes: native, batches, syncs } = queue.stats();
  assert.equal([native, batches, syncs], [2, 4, 1]);
});

test("a group above its bound is not merged further, and order holds", async () => {
  const port = new Port();
  const queue = new WriteQueue(port, unexpected, LIMITS);
  const sizes = { a: 1, b: 600, c: 600, d: 1 };
  for (const [key, size] of Object.entries(sizes)) {
    void queue.submit(batch(key, size), { sync: false });
  }
  for (let i = 0; i < 3; i++) await port.finish();
  assert.equal(
    port.calls.map(({ keys }) => keys.join("")),
    ["a", "b", "cd"],
  );
});

test("above the bound of waiting bytes a write is refused, and nothing of it is taken", async () => {
  const port = new Port();
  const queue = new WriteQueue(port, unexpected, LIMITS);
  const large = batch("large", 1000);
  void queue.submit(large, { sync: false });
  void queue.submit(large, { sync: false });
  assert.is(await codeOf(queue.submit(large, { sync: false })), "RUTILE:Engine:Busy");
  await port.finish();
  const taken = queue.submit(large, { sync: false });
  await port.finish();
  await port.finish();
  await taken;
  assert.is(port.calls.length, 3);
});

test("sync() joins what waits, syncs the log when nothing does, and does nothing when all is synced", async () => {
  const port = new Port();
  const queue = new WriteQueue(port, unexpected);
  await queue.sync();
  assert.is(port.logSyncs, 0);
  void queue.submit(batch("a"), { sync: false });
  void queue.submit(batch("b"), { sync: false });
  const joined = queue.sync();
  await port.finish();
  assert.equal(port.calls[1], { keys: ["b"], sync: true });
  await port.finish();
  await joined;
  assert.is(port.logSyncs, 0);
  void queue.submit(batch("c"), { sync: false });
  const after = queue.sync();
  await port.finish();
  assert.is(port.logSyncs, 1);
  await port.finish();
  await after;
  await queue.sync();
  assert.is(port.logSyncs, 1);
});

test("the first error rejects all that waits and everything after; onFatal is called once", async () => {
  const port = new Port();
  const fatals: Error[] = [];
  const queue = new WriteQueue(port, (error) => fatals.push(error));
  const outcomes = ["a", "b"].map((key) => codeOf(queue.submit(batch(key), { sync: true })));
  port.pending.shift()?.reject(new Error("disk gone"));
  assert.equal(await Promise.all(outcomes), ["disk gone", "disk gone"]);
  assert.is(await codeOf(queue.submit(batch("c"), { sync: false })), "disk gone");
  assert.is(port.calls.length, 1, "nothing is written after an error");
  assert.is(fatals.length, 1);
  await queue.close();
});

test("close syncs what was submitted and refuses what comes after", async () => {
  const port = new Port();
  const queue = new WriteQueue(port, unexpected);
  const write = queue.submit(batch("a"), { sync: false });
  const closed = queue.close();
  assert.is(await codeOf(queue.submit(batch("b"), { sync: false })), "RUTILE:Engine:Closed");
  await port.finish();
  await port.finish();
  await Promise.all([write, closed]);
  assert.is(port.logSyncs, 1);
});

test.run();
