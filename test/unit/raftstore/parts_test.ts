/** The parts of a peer, each alone: lease, reads, proposals, the barrier of epochs, Readies, the log. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { raftLogKey } from "../../../src/codec/index.js";
import { openMemoryEngine, WriteBatchBuilder } from "../../../src/engine/index.js";
import { ENTRY_CACHE_MAX_BYTES, EntryStorage } from "../../../src/raftstore/entry_storage.js";
import { EpochBarrier, HELD_MAX } from "../../../src/raftstore/epoch_barrier.js";
import type {
  Proposal,
  ReadCommand,
  RequestHeader,
  WriteCommand,
} from "../../../src/raftstore/index.js";
import { LeaderLease } from "../../../src/raftstore/lease.js";
import { ProposalQueue, WriteBuffer } from "../../../src/raftstore/proposal.js";
import { ReadQueue } from "../../../src/raftstore/read.js";
import { takePersisted, type UnpersistedReady } from "../../../src/raftstore/ready.js";
import { type Entry, EntryType, encodeEntryForTest } from "../../support/raft_entries.js";

const HEADER: RequestHeader = {
  ...{ regionId: 2n, confVer: 1n, version: 1n },
  ...{ peerId: 11n, storeId: 1n, term: 0n },
};

test("a lease counts from before its round left, and only confirmed rounds renew it", () => {
  const lease = new LeaderLease(9000);
  assert.is(lease.isValid(0), false);
  lease.onRound(1, 100);
  lease.onRound(2, 2100);
  assert.is(lease.isValid(200), false);
  lease.onConfirmed(1, true);
  assert.is(lease.isValid(9099), true);
  assert.is(lease.isValid(9100), false);
  lease.onConfirmed(2, true);
  assert.is(lease.isValid(11_099), true);
  assert.is(lease.isValid(11_100), false);
});

test("a round that is confirmed while nothing renews is not made up for", () => {
  const lease = new LeaderLease(9000);
  lease.onRound(1, 0);
  lease.onConfirmed(1, true);
  lease.onRound(2, 5000);
  lease.onConfirmed(2, false);
  assert.is(lease.isValid(9000), false);
  lease.onConfirmed(2, true);
  assert.is(lease.isValid(9000), false);
});

test("a lease ends at once, and rounds of the old term do not renew the new one", () => {
  const lease = new LeaderLease(9000);
  lease.onRound(7, 0);
  lease.expire();
  lease.onConfirmed(7, true);
  assert.is(lease.isValid(1), false);
});

test("rounds beyond those that are remembered count from the newest that is", () => {
  const lease = new LeaderLease(9000);
  for (let round = 1; round <= 100; round++) lease.onRound(round, round * 10);
  lease.onConfirmed(100, true);
  assert.is(lease.isValid(9000 + 639), true);
  assert.is(lease.isValid(9000 + 640), false);
});

function reads(count: number): ReadCommand[] {
  return Array.from({ length: count }, () => ({
    header: HEADER,
    replicaRead: true,
    done: () => {},
  }));
}

test("reads wait for their index to be confirmed and applied", () => {
  const queue = new ReadQueue(9n);
  const first = queue.add(reads(2), 0);
  const second = queue.add(reads(1), 0);
  assert.is(queue.length, 3);
  queue.onConfirmed(second.context, 8);
  queue.onConfirmed(second.context, 99);
  assert.is(queue.takeReady(7).length, 0);
  assert.equal(queue.takeReady(8), [second]);
  queue.onConfirmed(first.context, 9);
  assert.is(queue.takeUnconfirmed().length, 0);
  assert.equal(queue.takeReady(9), [first]);
  assert.is(queue.length, 0);
});

test("an answer to an earlier life of the peer confirms nothing", () => {
  const before = new ReadQueue(1n).add(reads(1), 0);
  const queue = new ReadQueue(2n);
  queue.add(reads(1), 0);
  queue.onConfirmed(before.context, 5);
  queue.onConfirmed(queue.unusedContext(), 5);
  queue.onConfirmed(new Uint8Array(3), 5);
  assert.is(queue.takeReady(100).length, 0);
});

test("reads are asked for again after some ticks, and dropped when the leader changes", () => {
  const queue = new ReadQueue(1n);
  const asked = queue.add(reads(1), 10);
  const confirmed = queue.add(reads(1), 10);
  queue.onConfirmed(confirmed.context, 5);
  assert.is(queue.overdue(13, 4).length, 0);
  assert.equal(queue.overdue(14, 4), [asked]);
  assert.equal(queue.takeUnconfirmed(), [asked]);
  assert.equal(queue.takeReady(5), [confirmed]);
});

function proposal(term: number, index: number): Proposal {
  return { term, index, done: () => {} };
}

test("a committed entry takes the proposals up to it, and those that an older term left behind", () => {
  const queue = new ProposalQueue();
  for (const [term, index] of [
    [5, 7],
    [5, 8],
    [5, 12],
    [6, 10],
    [6, 11],
  ] as const) {
    queue.push(proposal(term, index));
  }
  const indexes = (taken: readonly Proposal[]): number[] => taken.map(({ index }) => index);
  assert.equal(indexes(queue.takeUpTo(5, 7)), [7]);
  assert.equal(indexes(queue.takeUpTo(6, 9)), [8, 12]);
  assert.equal(indexes(queue.takeUpTo(6, 10)), [10]);
  assert.throws(() => queue.push(proposal(6, 11)), /order of the log/);
  assert.is(queue.drain().length, 1);
  assert.is(queue.length, 0);
});

test("writes share an entry up to its size; a large one stands alone", () => {
  const buffer = new WriteBuffer();
  const write = (bytes: number): WriteCommand => {
    return { header: HEADER, data: new Uint8Array(bytes), frees: false, done: () => {} };
  };
  assert.ok(buffer.hasRoom(10_000_000));
  buffer.add(write(200_000));
  assert.ok(buffer.hasRoom(60_000));
  assert.not(buffer.hasRoom(70_000));
  assert.is(buffer.take().length, 1);
  assert.ok(buffer.isEmpty);
});

test("the barrier holds what compares an epoch that is about to change", () => {
  const barrier = new EpochBarrier();
  const outcomes: string[] = [];
  barrier.onProposed("changePeer", 6, 10);
  assert.not(barrier.conflicts("normal", 6));
  assert.ok(barrier.conflicts("changePeer", 6));
  assert.ok(barrier.conflicts("split", 6));
  barrier.onProposed("compactLog", 6, 11);
  barrier.onProposed("split", 6, 12);
  assert.ok(barrier.conflicts("normal", 6));
  assert.ok(barrier.hold("normal", (outcome) => outcomes.push(`write ${outcome}`)));
  assert.ok(barrier.hold("changePeer", (outcome) => outcomes.push(`change ${outcome}`)));
  barrier.onApplied(11);
  assert.equal(outcomes, ["change epochNotMatch"]);
  assert.ok(barrier.conflicts("normal", 6));
  assert.not(barrier.conflicts("compactLog", 6));
  barrier.enterTerm(7);
  assert.equal(outcomes, ["change epochNotMatch", "write staleCommand"]);
  assert.not(barrier.conflicts("normal", 7));
});

test("the barrier holds a bounded number of commands", () => {
  const barrier = new EpochBarrier();
  barrier.onProposed("split", 6, 10);
  for (let i = 0; i < HELD_MAX; i++)
    assert.ok(
      barrier.hold("normal", () => {}),
      `${i}`,
    );
  assert.not(barrier.hold("normal", () => {}));
  barrier.onApplied(10);
  barrier.onProposed("split", 6, 11);
  assert.ok(barrier.hold("normal", () => {}));
});

test("what has nothing to write is durable when all before it is", () => {
  const ready = (number: number, writes: boolean): UnpersistedReady => ({
    number,
    write: writes
      ? { entries: [], hardState: { term: 1, vote: 0, commit: 0 }, snapshot: null }
      : undefined,
    messages: [],
  });
  const queue = [ready(1, true), ready(2, false), ready(3, true), ready(4, false), ready(5, true)];
  const numbers = (taken: readonly UnpersistedReady[]): number[] => taken.map((one) => one.number);
  assert.equal(numbers(takePersisted(queue, 1)), [1, 2]);
  assert.equal(numbers(takePersisted(queue, 2)), []);
  assert.equal(numbers(takePersisted(queue, 3)), [3, 4]);
  assert.equal(numbers(queue), [5]);
});

function entry(index: number, term: number, bytes = 10): Entry {
  const data = new Uint8Array(bytes).fill(index);
  return { type: EntryType.Normal, term, index, data, context: new Uint8Array(0) };
}

/** A log behind (5, 5) whose entries are in the engine as well. */
async function storedLog(entries: readonly Entry[]): Promise<EntryStorage> {
  const engine = openMemoryEngine((error) => {
    throw error;
  });
  const batch = new WriteBatchBuilder();
  for (const one of entries) {
    batch.put("raft", raftLogKey(2n, BigInt(one.index)), encodeEntryForTest(one));
  }
  await engine.write(batch, { sync: true });
  const lastIndex = entries[entries.length - 1]?.index ?? 5;
  return new EntryStorage(2n, engine, { truncatedIndex: 5, truncatedTerm: 5, lastIndex });
}

function indexesOf(result: readonly Entry[] | string): unknown {
  return typeof result === "string" ? result : result.map(({ index }) => index);
}

test("a log reads what it does not hold in memory from the engine, and limits by bytes", async () => {
  const stored = [6, 7, 8, 9].map((index) => entry(index, index < 8 ? 6 : 7));
  const log = await storedLog(stored);
  log.append([entry(10, 7), entry(11, 8)]);
  assert.equal(indexesOf(log.entries(6, 12, Number.MAX_SAFE_INTEGER)), [6, 7, 8, 9]);
  assert.equal(indexesOf(log.entries(8, 9, 1)), [8]);
  assert.equal(indexesOf(log.entries(6, 9, 70)), [6, 7]);
  assert.equal(indexesOf(log.entries(10, 12, 34)), [10]);
  assert.equal(indexesOf(log.entries(5, 6, 1)), "Compacted");
  assert.equal(
    [4, 5, 6, 7, 8, 9, 10, 11, 12].map((index) => log.term(index)),
    [...[undefined, 5, 6, 6, 7, 7, 7, 8, undefined]],
  );
});

test("appending replaces what was behind; terms and cache follow", async () => {
  const log = await storedLog([6, 7, 8].map((index) => entry(index, 6)));
  log.append([entry(9, 6), entry(10, 6)]);
  log.append([entry(8, 7)]);
  assert.is(log.lastIndex, 8);
  assert.equal(
    [7, 8, 9].map((index) => log.term(index)),
    [6, 7, undefined],
  );
  assert.equal(indexesOf(log.entries(8, 9, 1000)), [8]);
  assert.throws(() => log.append([entry(10, 7)]), /no gap/);
});

test("what is cut off is Compacted, its last term stays known", async () => {
  const log = await storedLog([]);
  log.append([6, 7, 8, 9].map((index) => entry(index, index)));
  log.compact(8, 8);
  assert.is(log.firstIndex, 9);
  assert.equal(
    [7, 8, 9].map((index) => log.term(index)),
    [undefined, 8, 9],
  );
  assert.is(log.entries(8, 9, 1), "Compacted");
  log.reset(20, 10);
  assert.equal([log.firstIndex, log.lastIndex, log.term(20)], [21, 20, 10]);
});

test("the cache is bounded", async () => {
  const log = await storedLog([]);
  const large = ENTRY_CACHE_MAX_BYTES / 4;
  for (let index = 6; index < 20; index++) log.append([entry(index, 6, large)]);
  assert.ok(log.cachedBytes <= ENTRY_CACHE_MAX_BYTES);
  assert.ok(log.cachedCount >= 3);
  log.trimCache(19);
  assert.equal([log.cachedCount, log.cachedBytes], [0, 0]);
});

test.run();
