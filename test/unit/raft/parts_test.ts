/** Parts of the machine on their own: wire mapping, unstable log, options, messages from outside. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import { eraftpb, fromBigInt } from "../../../src/pb/index.js";
import {
  confChangeOfEntry,
  EMPTY_CONF_STATE,
  type Entry,
  encodeConfChange,
  hardStateFromWire,
  hardStateToWire,
  MemoryStorage,
  type Message,
  MessageType,
  messageFromWire,
  messageToWire,
  newMessage,
  newProposal,
  RAFT_DEFAULTS,
  RawNode,
  validateOptions,
} from "../../../src/raft/index.js";
import { LogUnstable } from "../../../src/raft/log_unstable.js";
import { decodeRound, encodeRound } from "../../../src/raft/read_only.js";

const BYTES = Uint8Array.of(1, 2, 3);

function entry(term: number, index: number): Entry {
  return { type: 0, term, index, data: BYTES, context: Uint8Array.of(9) };
}

function roundTrip(message: Message): Message | undefined {
  const bytes = eraftpb.Message.encode(messageToWire(message)).finish();
  return messageFromWire(eraftpb.Message.decode(bytes));
}

test("wire: every field of a message survives", () => {
  const confState = { ...EMPTY_CONF_STATE, voters: [1, 2], votersOutgoing: [3], autoLeave: true };
  const message: Message = {
    type: MessageType.Snapshot,
    to: 2,
    from: Number.MAX_SAFE_INTEGER,
    term: 7,
    logTerm: 6,
    index: 5,
    entries: [entry(6, 6), entry(7, 7)],
    commit: 4,
    snapshot: { data: BYTES, metadata: { confState, index: 3, term: 2 } },
    reject: true,
    rejectHint: 11,
    context: BYTES,
  };
  assert.equal(plain(roundTrip(message)), plain(message));
  assert.equal(plain(roundTrip(newMessage(MessageType.Beat, 0))), plain(newMessage(1, 0)));
});

/** Bytes as arrays, so that Buffer and Uint8Array compare equal. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array || Array.isArray(value)) return Array.from(value, plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}

test("wire: numbers above 2^53 - 1 and unknown types are refused", () => {
  const wire = messageToWire(newMessage(MessageType.Append, 1));
  const large = eraftpb.Message.create({ ...wire, index: fromBigInt(1n << 53n) });
  assert.is(messageFromWire(large), undefined);
  const unknown = eraftpb.Message.decode(Uint8Array.of(8, 99));
  assert.is(messageFromWire(unknown), undefined);
  assert.is(hardStateFromWire({ term: fromBigInt(1n << 63n) }), undefined);
  const state = { term: 3, vote: 2, commit: 1 };
  assert.equal(hardStateFromWire(hardStateToWire(state)), state);
});

test("wire: changes of both entry kinds are read; damage is not", () => {
  const change = { transition: 1, changes: [{ type: 2, id: 7 }], context: BYTES } as const;
  const read = confChangeOfEntry(newProposal(2, encodeConfChange(change)));
  assert.equal(plain(read), plain(change));
  const old = eraftpb.ConfChange.encode({ changeType: 1, nodeId: fromBigInt(5n) }).finish();
  assert.equal(confChangeOfEntry(newProposal(1, old))?.changes, [{ type: 1, id: 5 }]);
  assert.is(confChangeOfEntry(newProposal(2, Uint8Array.of(255))), undefined);
});

test("unstable log: a note of an overwritten entry does not make its successor durable", () => {
  const log = new LogUnstable(4);
  log.append([entry(2, 5)]);
  log.take(1);
  log.append([entry(3, 5)]);
  log.take(2);
  log.append([entry(2, 5)]);
  log.take(3);
  log.onPersisted(1);
  assert.is(log.persisted, 4, "what Ready 1 wrote was replaced");
  log.onPersisted(2);
  assert.is(log.persisted, 4);
  log.onPersisted(3);
  assert.is(log.persisted, 5);
  assert.is(log.entries.length, 0);
});

test("unstable log: each entry is handed out once", () => {
  const log = new LogUnstable(0);
  log.append([entry(1, 1), entry(1, 2)]);
  assert.is(log.take(1).entries.length, 2);
  assert.not(log.hasToPersist());
  log.append([entry(1, 3)]);
  assert.equal(
    log.take(2).entries.map(({ index }) => index),
    [3],
  );
});

test("rounds: eight bytes there and back; others are no round", () => {
  for (const round of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER])
    assert.is(decodeRound(encodeRound(round)), round);
  assert.is(decodeRound(new Uint8Array(3)), 0);
  assert.is(decodeRound(new Uint8Array(8).fill(255)), 0);
});

test("options: all problems are named", () => {
  const good = { ...RAFT_DEFAULTS, id: 1, applied: 0 };
  assert.equal(validateOptions(good), []);
  const bad = {
    ...good,
    id: 0,
    heartbeatTicks: 10,
    readOnly: "lease",
    checkQuorum: false,
  } as const;
  assert.is(validateOptions(bad).length, 3);
});

test("messages from outside: local types, missing terms and entries out of order are refused", () => {
  const storage = new MemoryStorage({ ...EMPTY_CONF_STATE, voters: [1, 2] }, 5, 5);
  const options = { ...RAFT_DEFAULTS, id: 1, applied: 5 };
  const node = new RawNode(options, { prng: new Prng(1n), storage });
  const step = (type: MessageType, fields: Partial<Message>) =>
    node.step({ ...newMessage(type, 1), from: 2, ...fields });
  assert.is(step(MessageType.Hup, {}), "MessageInvalid");
  assert.is(step(MessageType.Append, {}), "MessageInvalid");
  const gap = { term: 6, index: 5, logTerm: 5, entries: [entry(6, 7)] };
  assert.is(step(MessageType.Append, gap), "MessageInvalid");
  assert.is(node.status().term, 5);
});

test("prng: one seed, one sequence; fair and in range", () => {
  const draw = (seed: bigint): number[] => {
    const prng = new Prng(seed);
    return Array.from({ length: 8 }, () => prng.nextU32());
  };
  assert.equal(draw(7n), draw(7n));
  assert.is.not(draw(7n).join(), draw(8n).join());
  assert.is.not(draw(7n).join(), draw(7n + (1n << 32n)).join());
  const prng = new Prng(1n);
  const counts = [0, 0, 0];
  for (let i = 0; i < 3000; i++) {
    const value = prng.below(3);
    counts[value] = (counts[value] ?? 0) + 1;
  }
  for (const count of counts) assert.ok(count > 900 && count < 1100, `${counts}`);
  const items = [1, 2, 3, 4, 5];
  prng.shuffle(items);
  assert.is([...items].sort().join(), "1,2,3,4,5");
  for (let i = 0; i < 100; i++) {
    const value = prng.range(5, 8);
    assert.ok(value >= 5 && value < 8);
  }
});

test.run();
