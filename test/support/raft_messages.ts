/** Raft messages as fast-check values, and as text for comparisons. */
import * as fc from "fast-check";
import { EMPTY_BYTES, toHex } from "../../src/base/index.js";
import type { ConfState, Entry, Message, Snapshot } from "../../src/raft/index.js";
import { newMessage } from "../../src/raft/index.js";
import type { RaftMessage, RaftPeer } from "../../src/raftstore/index.js";

const number = fc.oneof(
  fc.constantFrom(0, 1, 127, 128, 16_383, 16_384, 2 ** 21, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 35),
  fc.constantFrom(2 ** 42 - 1, 2 ** 49, Number.MAX_SAFE_INTEGER),
  fc.nat(1000),
);
const id = number.map((value) => Math.max(1, value));
const bytes = fc.oneof(
  { weight: 2, arbitrary: fc.constant(EMPTY_BYTES) },
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 80 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 120, maxLength: 300 }) },
);
const role = fc.constantFrom(0, 1, 2, 3) as fc.Arbitrary<0 | 1 | 2 | 3>;
const peer: fc.Arbitrary<RaftPeer> = fc.record({ id, storeId: id, role });

const entry: fc.Arbitrary<Entry> = fc.record({
  type: fc.constantFrom(0, 1, 2) as fc.Arbitrary<0 | 1 | 2>,
  term: number,
  index: number,
  data: bytes,
  context: fc.oneof(fc.constant(EMPTY_BYTES), bytes),
});

const ids = fc.uniqueArray(id, { maxLength: 4 }).map((list) => list.sort((a, b) => a - b));
const confState: fc.Arbitrary<ConfState> = fc.record({
  voters: ids,
  learners: ids,
  votersOutgoing: ids,
  learnersNext: ids,
  autoLeave: fc.boolean(),
});
const snapshot: fc.Arbitrary<Snapshot> = fc.record({
  data: bytes,
  metadata: fc.record({ confState, index: number, term: number }),
});

const message: fc.Arbitrary<Message> = fc.record({
  type: fc.integer({ min: 0, max: 18 }) as fc.Arbitrary<Message["type"]>,
  to: number,
  from: number,
  term: number,
  logTerm: number,
  index: number,
  entries: fc.array(entry, { maxLength: 4 }),
  commit: number,
  snapshot: fc.option(snapshot, { freq: 4 }),
  reject: fc.boolean(),
  rejectHint: number,
  context: bytes,
});

const epoch = fc.record({ confVer: number, version: number });

/** Messages of every kind: raft, tombstones, extra messages with and without a region. */
export const raftMessageArbitrary: fc.Arbitrary<RaftMessage> = fc
  .record({
    regionId: id,
    fromPeer: peer,
    toPeer: peer,
    epoch,
    message,
    kind: fc.constantFrom("raft", "raft", "raft", "tombstone", "stale", "response"),
    startKey: bytes,
    endKey: bytes,
    peers: fc.array(peer, { minLength: 1, maxLength: 4 }),
  })
  .map(({ kind, peers, message: inner, ...rest }): RaftMessage => {
    const checkRegion = {
      id: BigInt(rest.regionId),
      startKey: rest.startKey,
      endKey: rest.endKey,
      confVer: BigInt(rest.epoch.confVer),
      version: BigInt(rest.epoch.version),
      peers: peers.map((p) => ({ id: BigInt(p.id), storeId: BigInt(p.storeId), role: p.role })),
    };
    return {
      ...rest,
      message: kind === "raft" ? inner : undefined,
      isTombstone: kind === "tombstone",
      extra:
        kind === "stale"
          ? "checkStalePeer"
          : kind === "response"
            ? "checkStalePeerResponse"
            : "none",
      checkRegion: kind === "response" ? checkRegion : undefined,
    };
  });

/** A value as text: properties sorted, bytes as hex whatever their array type. */
export function showMessage(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return part.toString();
    if (part instanceof Uint8Array) return toHex(part);
    // A Buffer comes as what its own toJSON made of it.
    const { type, data } = (part ?? {}) as { type?: unknown; data?: unknown };
    if (type === "Buffer") return toHex(Uint8Array.from(data as readonly number[]));
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** Returns an append of `count` entries of `bytes` bytes, for region `regionId` on store 2. */
export function appendTo(
  regionId: number,
  index: number,
  count: number,
  size: number,
  storeId = 2,
): RaftMessage {
  const entries = Array.from({ length: count }, (_, i) => ({
    type: 0 as const,
    term: 6,
    index: index + i,
    data: new Uint8Array(size).fill(index + i),
    context: EMPTY_BYTES,
  }));
  return {
    regionId,
    fromPeer: { id: 10 * regionId + 1, storeId: 1, role: 0 },
    toPeer: { id: 10 * regionId + storeId, storeId, role: 0 },
    epoch: { confVer: 1, version: 1 },
    message: {
      ...newMessage(3, 10 * regionId + storeId),
      from: 10 * regionId + 1,
      term: 6,
      logTerm: 6,
      index: Math.max(0, index - 1),
      commit: Math.max(0, index - 1),
      entries,
    },
    isTombstone: false,
    startKey: EMPTY_BYTES,
    endKey: EMPTY_BYTES,
    extra: "none",
    checkRegion: undefined,
  };
}
