/** How far logs are compacted, and that exactly the compacted entries are deleted. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../../src/base/index.js";
import { raftLogKey, raftLogRange } from "../../../../src/codec/index.js";
import { MemoryDisk, openMemoryEngine } from "../../../../src/engine/index.js";
import { enginePort, REPLICATION_DEFAULTS } from "../../../../src/raftstore/index.js";
import {
  compactIndexOf,
  RaftLogGc,
  type RaftLogView,
} from "../../../../src/raftstore/workers/raftlog_gc.js";
import { SimLoop } from "../../../sim/loop.js";

const MIB = 1024 * 1024;

/** A healthy log of 100 entries that all peers have. */
const VIEW: RaftLogView = {
  firstIndex: 6,
  lastIndex: 105,
  appliedIndex: 105,
  persistedIndex: 105,
  matched: [105, 105, 105],
  sizeBytes: 1000,
  skippedTicks: 0,
};

interface Case {
  readonly what: string;
  readonly view: Partial<RaftLogView>;
  readonly index: number | undefined;
}

const CASES: readonly Case[] = [
  { what: "all have it: everything but one entry goes", view: {}, index: 104 },
  { what: "the slowest peer holds it back", view: { matched: [105, 80, 105] }, index: 79 },
  { what: "a gap of 50 is worth it", view: { matched: [105, 56, 105] }, index: 55 },
  { what: "a gap of 49 is not", view: { matched: [105, 55, 105] }, index: undefined },
  { what: "until 6 ticks went by", view: { matched: [105, 55], skippedTicks: 6 }, index: 54 },
  { what: "5 are too few", view: { matched: [105, 55], skippedTicks: 5 }, index: undefined },
  { what: "a peer without log holds all", view: { matched: [105, 0] }, index: undefined },
  {
    what: "as often as it is asked",
    view: { matched: [105, 0], skippedTicks: 99 },
    index: undefined,
  },
  {
    what: "a log of 3 entries stays",
    view: { lastIndex: 8, appliedIndex: 8, persistedIndex: 8, matched: [8], skippedTicks: 9 },
    index: undefined,
  },
  {
    what: "one of 4 goes after the ticks",
    view: { lastIndex: 9, appliedIndex: 9, persistedIndex: 9, matched: [9], skippedTicks: 9 },
    index: 8,
  },
  { what: "not beyond what is applied", view: { appliedIndex: 70 }, index: 69 },
  { what: "not beyond what is durable", view: { persistedIndex: 60 }, index: 59 },
  { what: "nothing applied", view: { appliedIndex: 5 }, index: undefined },
  { what: "one applied: the last stays", view: { appliedIndex: 6 }, index: undefined },
  {
    what: "too many bytes: half of it, whoever lags",
    view: { matched: [105, 10], sizeBytes: 192 * MIB },
    index: 54,
  },
  {
    what: "too many bytes, replicated further than half",
    view: { matched: [105, 90], sizeBytes: 192 * MIB },
    index: 89,
  },
  {
    what: "too many bytes, but not applied",
    view: { matched: [105, 10], appliedIndex: 20, sizeBytes: 192 * MIB },
    index: 19,
  },
  {
    what: "too many entries: half of it",
    view: {
      lastIndex: 200_006,
      appliedIndex: 6 + 196_608,
      persistedIndex: 200_006,
      matched: [200_006, 6],
    },
    index: 100_005,
  },
  {
    what: "one less than too many",
    view: {
      lastIndex: 200_006,
      appliedIndex: 5 + 196_608,
      persistedIndex: 200_006,
      matched: [200_006, 6],
    },
    index: undefined,
  },
  {
    what: "too many bytes in one entry",
    view: { lastIndex: 6, appliedIndex: 6, persistedIndex: 6, matched: [6], sizeBytes: 999 * MIB },
    index: undefined,
  },
];

for (const { what, view, index } of CASES) {
  test(`compaction: ${what}`, () => {
    assert.is(compactIndexOf({ ...VIEW, ...view }, REPLICATION_DEFAULTS), index);
  });
}

test("compaction never takes what is not applied, durable or already gone", () => {
  const prng = new Prng(1n);
  let taken = 0;
  for (let round = 0; round < 20_000; round++) {
    const firstIndex = prng.range(1, 100);
    const lastIndex = firstIndex - 1 + prng.below(300);
    const upTo = (): number => prng.range(firstIndex - 1, lastIndex + 1);
    const view: RaftLogView = {
      firstIndex,
      lastIndex,
      appliedIndex: upTo(),
      persistedIndex: upTo(),
      matched: [lastIndex, prng.below(lastIndex + 1), prng.below(lastIndex + 1)],
      sizeBytes: prng.ratio(1, 3) ? 200 * MIB : 0,
      skippedTicks: prng.below(12),
    };
    const index = compactIndexOf(view, REPLICATION_DEFAULTS);
    if (index === undefined) continue;
    taken++;
    assert.ok(index >= firstIndex, `round ${round}`);
    assert.ok(index < view.appliedIndex && index < view.persistedIndex, `round ${round}`);
    if (view.sizeBytes === 0) assert.ok(index < Math.min(...view.matched), `round ${round}`);
  }
  assert.ok(taken > 1000, `${taken} compactions`);
});

/** A memory engine with log entries of regions 1 to 3, and a collector. */
async function logs(count: number): Promise<{
  readonly gc: RaftLogGc;
  readonly loop: SimLoop;
  readonly left: (regionId: number) => number[];
}> {
  const loop = new SimLoop();
  const engine = openMemoryEngine((error) => {
    throw error;
  }, new MemoryDisk());
  const batch = engine.newWriteBatch();
  for (const region of [1n, 2n, 3n]) {
    for (let index = 6; index < 6 + count; index++) {
      batch.put("raft", raftLogKey(region, BigInt(index)), Uint8Array.of(1));
    }
  }
  await engine.write(batch, { sync: true });
  const timers = {
    after: (delayMs: number, callback: () => void) => {
      const event = loop.after(delayMs * 1000, callback);
      return () => event.cancel();
    },
  };
  const gc = new RaftLogGc(
    enginePort(engine, (error) => loop.fail(error)),
    timers,
  );
  const left = (regionId: number): number[] => {
    const range = raftLogRange(BigInt(regionId), 0n, 1_000_000n);
    const snapshot = engine.snapshot();
    const iter = snapshot.iterate("raft", { lower: range.start, upper: range.end });
    const found: number[] = [];
    for (let on = iter.seekToFirst(); on; on = iter.next()) {
      found.push(Number(Buffer.from(iter.key()).readBigUInt64BE(11)));
    }
    iter.close();
    snapshot.close();
    return found;
  };
  return { gc, loop, left };
}

function indexes(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

test("exactly the entries below the end go, of that region, in slices", async () => {
  const { gc, loop, left } = await logs(5000);
  gc.gc(2, 3000);
  gc.gc(2, 2000);
  gc.gc(3, 7);
  assert.is(gc.pending, 2);
  let turns = 0;
  await loop.run(1_000_000, () => turns++);
  assert.ok(turns >= 4, `${turns} turns`);
  assert.is(gc.pending, 0);
  assert.equal(left(1), indexes(6, 5006));
  assert.equal(left(2), indexes(3000, 5006));
  assert.equal(left(3), indexes(7, 5006));
  assert.is(gc.deletedEntries, 2995);
});

test("the next collection starts where the last one ended", async () => {
  const { gc, loop, left } = await logs(100);
  gc.gc(1, 50);
  await loop.run(1_000_000, () => {});
  gc.gc(1, 60);
  gc.gc(1, 40);
  await loop.run(2_000_000, () => {});
  assert.is(gc.deletedEntries, 54);
  assert.equal(left(1), indexes(60, 106));
  gc.gc(1, 60);
  await loop.run(3_000_000, () => {});
  assert.is(gc.deletedEntries, 54);
});

test("entries that a crash left behind are found after a restart", async () => {
  const { gc, loop, left } = await logs(100);
  gc.gc(1, 106);
  await loop.run(1_000_000, () => {});
  assert.equal(left(1), []);
  gc.gc(9, 50);
  await loop.run(2_000_000, () => {});
  assert.is(gc.deletedEntries, 100);
});

test("nothing goes once the peer is forgotten", async () => {
  const { gc, loop, left } = await logs(100);
  gc.gc(1, 50);
  gc.forget(1);
  await loop.run(1_000_000, () => {});
  assert.equal(left(1), indexes(6, 106));
});

test("nothing is read or deleted once it is closed", async () => {
  const { gc, loop, left } = await logs(5000);
  gc.gc(1, 4000);
  let turns = 0;
  await loop.run(1_000_000, () => {
    if (++turns === 2) gc.close();
  });
  const rest = left(1).length;
  assert.ok(rest > 5000 - 4000 + 6, `${rest} entries are left`);
  gc.gc(2, 50);
  await loop.run(2_000_000, () => {});
  assert.is(left(1).length, rest);
  assert.equal(left(2), indexes(6, 5006));
});

test.run();
