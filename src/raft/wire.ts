/**
 * The machine's data as eraftpb, and back. The plain, slow form: hot paths encode entries and
 * messages with a kernel, for which this is the specification.
 *
 * From the wire, numbers above 2^53 - 1 and unknown enum values are refused: decoders return
 * undefined, the driver drops the message.
 */
import { assert } from "../base/index.js";
import { eraftpb, fromBigInt, toSafeNumber, type Wire64 } from "../pb/index.js";
import {
  type ConfChangeSingle,
  type ConfChangeTransition,
  type ConfChangeType,
  type ConfChangeV2,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  type MessageType,
  type Snapshot,
} from "./types.js";

const MESSAGE_TYPE_MAX = 18;
const ENUM_MAX = 2;

class NotRepresentable extends Error {}

function num(value: Wire64): number {
  const number = toSafeNumber(value);
  if (number === undefined || number < 0) throw new NotRepresentable();
  return number;
}

function enumOf<T extends number>(value: number, max: number): T {
  if (!Number.isInteger(value) || value < 0 || value > max) throw new NotRepresentable();
  return value as T;
}

/** Runs a decoder; undefined for what does not parse or does not fit into plain numbers. */
function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof NotRepresentable || error instanceof RangeError) return undefined;
    if (error instanceof Error && error.name !== "AssertionError") return undefined;
    throw error;
  }
}

function wire(value: number): ReturnType<typeof fromBigInt> {
  assert(Number.isSafeInteger(value) && value >= 0, "terms, indexes and ids are below 2^53");
  return fromBigInt(BigInt(value));
}

/** Returns the entry as a wire object; bytes are shared. */
export function entryToWire(entry: Entry): eraftpb.IEntry {
  return {
    entryType: entry.type,
    term: wire(entry.term),
    index: wire(entry.index),
    data: entry.data,
    context: entry.context,
  };
}

function entryOf(entry: eraftpb.Entry): Entry {
  return {
    type: enumOf<EntryType>(entry.entryType, ENUM_MAX),
    term: num(entry.term),
    index: num(entry.index),
    data: entry.data,
    context: entry.context,
  };
}

/** Returns the entry that `bytes` encode; undefined if they do not parse. Bytes are views. */
export function decodeEntry(bytes: Uint8Array): Entry | undefined {
  return decoded(() => entryOf(eraftpb.Entry.decode(bytes)));
}

/** Returns the members as a wire object. */
export function confStateToWire(state: ConfState): eraftpb.IConfState {
  return {
    voters: state.voters.map(wire),
    learners: state.learners.map(wire),
    votersOutgoing: state.votersOutgoing.map(wire),
    learnersNext: state.learnersNext.map(wire),
    autoLeave: state.autoLeave,
  };
}

function confStateOf(state: eraftpb.IConfState | null | undefined): ConfState {
  const list = (ids: readonly Wire64[] | null | undefined): number[] =>
    (ids ?? []).map(num).sort((a, b) => a - b);
  return {
    voters: list(state?.voters),
    learners: list(state?.learners),
    votersOutgoing: list(state?.votersOutgoing),
    learnersNext: list(state?.learnersNext),
    autoLeave: state?.autoLeave ?? false,
  };
}

/** Returns the members, or undefined if a number is too large. */
export function confStateFromWire(state: eraftpb.IConfState): ConfState | undefined {
  return decoded(() => confStateOf(state));
}

/** Returns the hard state as a wire object. */
export function hardStateToWire(state: HardState): eraftpb.IHardState {
  return { term: wire(state.term), vote: wire(state.vote), commit: wire(state.commit) };
}

/** Returns the hard state, or undefined if a number is too large. */
export function hardStateFromWire(state: eraftpb.IHardState): HardState | undefined {
  return decoded(() => ({
    term: num(state.term ?? 0),
    vote: num(state.vote ?? 0),
    commit: num(state.commit ?? 0),
  }));
}

/** Returns the snapshot as a wire object; bytes are shared. */
export function snapshotToWire(snapshot: Snapshot): eraftpb.ISnapshot {
  const { confState, index, term } = snapshot.metadata;
  return {
    data: snapshot.data,
    metadata: {
      confState: confStateToWire(confState),
      index: wire(index),
      term: wire(term),
    },
  };
}

function snapshotOf(snapshot: eraftpb.ISnapshot): Snapshot {
  const metadata = snapshot.metadata;
  return {
    data: snapshot.data ?? new Uint8Array(0),
    metadata: {
      confState: confStateOf(metadata?.confState),
      index: num(metadata?.index ?? 0),
      term: num(metadata?.term ?? 0),
    },
  };
}

/** Returns the snapshot, or undefined if a number is too large; bytes are shared. */
export function snapshotFromWire(snapshot: eraftpb.Snapshot): Snapshot | undefined {
  return decoded(() => snapshotOf(snapshot));
}

/** Returns the message as a wire object; bytes are shared. */
export function messageToWire(message: Message): eraftpb.IMessage {
  return {
    msgType: message.type,
    to: wire(message.to),
    from: wire(message.from),
    term: wire(message.term),
    logTerm: wire(message.logTerm),
    index: wire(message.index),
    entries: message.entries.map(entryToWire),
    commit: wire(message.commit),
    ...(message.snapshot === null ? {} : { snapshot: snapshotToWire(message.snapshot) }),
    reject: message.reject,
    rejectHint: wire(message.rejectHint),
    context: message.context,
  };
}

/** Returns a decoded message; undefined if a number is too large or an enum value unknown. */
export function messageFromWire(message: eraftpb.Message): Message | undefined {
  return decoded(() => ({
    type: enumOf<MessageType>(message.msgType, MESSAGE_TYPE_MAX),
    to: num(message.to),
    from: num(message.from),
    term: num(message.term),
    logTerm: num(message.logTerm),
    index: num(message.index),
    entries: message.entries.map((entry) => entryOf(eraftpb.Entry.create(entry))),
    commit: num(message.commit),
    snapshot: message.snapshot ? snapshotOf(message.snapshot) : null,
    reject: message.reject,
    rejectHint: num(message.rejectHint),
    context: message.context,
  }));
}

/** Returns the bytes of a change, as the data of an EntryConfChangeV2. */
export function encodeConfChange(change: ConfChangeV2): Uint8Array {
  return eraftpb.ConfChangeV2.encode({
    transition: change.transition,
    changes: change.changes.map(({ type, id }) => ({ changeType: type, nodeId: wire(id) })),
    context: change.context,
  }).finish();
}

/** Returns the change in a membership entry of either kind; undefined if it does not parse. */
export function confChangeOfEntry(entry: Entry): ConfChangeV2 | undefined {
  assert(entry.type !== EntryType.Normal, "only membership entries hold a change");
  return decoded(() => {
    if (entry.type === EntryType.ConfChangeV2) {
      const change = eraftpb.ConfChangeV2.decode(entry.data);
      return {
        transition: enumOf<ConfChangeTransition>(change.transition, ENUM_MAX),
        changes: change.changes.map((single) =>
          singleOf(single.changeType ?? 0, single.nodeId ?? 0),
        ),
        context: change.context,
      };
    }
    const change = eraftpb.ConfChange.decode(entry.data);
    return {
      transition: 0,
      changes: [singleOf(change.changeType, change.nodeId)],
      context: change.context,
    };
  });
}

function singleOf(type: number, id: Wire64): ConfChangeSingle {
  return { type: enumOf<ConfChangeType>(type, ENUM_MAX), id: num(id) };
}
