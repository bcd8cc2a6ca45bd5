/**
 * What raft_serverpb.RaftMessage has around eraftpb.Message: region, peers, epoch, range. Written
 * and read by hand, because it is small and the same a thousand times a frame. Hot path.
 */
import { EMPTY_BYTES } from "../base/index.js";
import {
  bytesSize,
  fieldSize,
  MalformedWire,
  raft_serverpb,
  varintSize,
  type WireReader,
  WireWriter,
} from "../pb/index.js";
import type { Message } from "../raft/index.js";
import {
  type ExtraContent,
  encodeExtra,
  extraFromWire,
  NO_EXTRA,
  raftMessageOf,
} from "./message_wire.js";
import type { EpochNumbers, RaftMessage, RaftPeer } from "./raft_message.js";
import { PEER_ROLE, type PeerRole } from "./region.js";

function peerSize(peer: RaftPeer): number {
  return fieldSize(peer.id) + fieldSize(peer.storeId) + (peer.role === 0 ? 0 : 2);
}

function epochSize(epoch: EpochNumbers): number {
  return fieldSize(epoch.confVer) + fieldSize(epoch.version);
}

/** Returns the size of a RaftMessage whose eraftpb.Message takes `inner` bytes (-1: it has none). */
export function wrappedSize(message: RaftMessage, inner: number): number {
  const { extra } = message;
  return (
    fieldSize(message.regionId) +
    // Tags and lengths of the three small messages: their contents are shorter than 128 bytes.
    6 +
    peerSize(message.fromPeer) +
    peerSize(message.toPeer) +
    epochSize(message.epoch) +
    (inner < 0 ? 0 : 1 + varintSize(inner) + inner) +
    (message.isTombstone ? 2 : 0) +
    bytesSize(message.startKey.length) +
    bytesSize(message.endKey.length) +
    (extra === "none" ? 0 : bytesSize(encodeExtra(message)?.length ?? 0))
  );
}

/** Writes frames of known size. */
export class FrameWriter {
  readonly #out: WireWriter;

  constructor(bytes: Uint8Array) {
    this.#out = new WireWriter(bytes);
  }

  /** Writes one `msgs` field: `size` is wrappedSize, `[ptr, ptr + inner)` the message in `source`. */
  message(
    message: RaftMessage,
    size: number,
    source: Uint8Array,
    ptr: number,
    inner: number,
  ): void {
    const out = this.#out;
    out.open(0x0a, size);
    out.field(0x08, message.regionId);
    this.#peer(0x12, message.fromPeer);
    this.#peer(0x1a, message.toPeer);
    if (inner >= 0) {
      out.open(0x22, inner);
      out.copy(source, ptr, inner);
    }
    out.open(0x2a, epochSize(message.epoch));
    out.field(0x08, message.epoch.confVer);
    out.field(0x10, message.epoch.version);
    if (message.isTombstone) out.field(0x30, 1);
    out.bytesField(0x3a, message.startKey);
    out.bytesField(0x42, message.endKey);
    if (message.extra !== "none") out.bytesField(0x52, encodeExtra(message) ?? EMPTY_BYTES);
  }

  /** Asserts that the frame is full. */
  finish(): Uint8Array {
    return this.#out.finish();
  }

  #peer(tag: number, peer: RaftPeer): void {
    const out = this.#out;
    out.open(tag, peerSize(peer));
    out.field(0x08, peer.id);
    out.field(0x10, peer.storeId);
    out.field(0x18, peer.role);
  }
}

interface MutablePeer {
  id: number;
  storeId: number;
  role: number;
}

/** A wrapper that was read; the message in it is a slice of what it was read from. */
export interface Wrapper {
  regionId: number;
  readonly fromPeer: MutablePeer;
  readonly toPeer: MutablePeer;
  epoch: { confVer: number; version: number } | undefined;
  isTombstone: boolean;
  startKey: Uint8Array;
  endKey: Uint8Array;
  content: ExtraContent | undefined;
  /** Where the eraftpb.Message lies; length -1: there is none. */
  ptr: number;
  length: number;
}

function readPeer(reader: WireReader, peer: MutablePeer): void {
  const end = reader.end;
  reader.end = reader.inner();
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x08) peer.id = reader.number();
    else if (tag === 0x10) peer.storeId = reader.number();
    else if (tag === 0x18) peer.role = readEnum(reader);
    else reader.skip(tag);
  }
  reader.end = end;
}

/** Reads an enum: its low 32 bits count, as everywhere in protobuf. */
function readEnum(reader: WireReader): number {
  reader.varint();
  return reader.low;
}

function readEpoch(reader: WireReader, epoch: { confVer: number; version: number }): void {
  const end = reader.end;
  reader.end = reader.inner();
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x08) epoch.confVer = reader.number();
    else if (tag === 0x10) epoch.version = reader.number();
    else reader.skip(tag);
  }
  reader.end = end;
}

function readExtra(bytes: Uint8Array): ExtraContent | undefined {
  let extra: raft_serverpb.ExtraMessage;
  try {
    extra = raft_serverpb.ExtraMessage.decode(bytes);
  } catch {
    throw new MalformedWire();
  }
  return extraFromWire(extra);
}

/** Reads the content of one `msgs` field, up to the reader's end. Throws MalformedWire. */
export function readWrapper(reader: WireReader): Wrapper {
  const wrapper: Wrapper = {
    regionId: 0,
    fromPeer: { id: 0, storeId: 0, role: 0 },
    toPeer: { id: 0, storeId: 0, role: 0 },
    epoch: undefined,
    isTombstone: false,
    startKey: EMPTY_BYTES,
    endKey: EMPTY_BYTES,
    content: NO_EXTRA,
    ptr: 0,
    length: -1,
  };
  while (reader.more) readField(reader, wrapper, reader.tag());
  return wrapper;
}

function readField(reader: WireReader, wrapper: Wrapper, tag: number): void {
  if (tag === 0x08) wrapper.regionId = reader.number();
  else if (tag === 0x12) readPeer(reader, wrapper.fromPeer);
  else if (tag === 0x1a) readPeer(reader, wrapper.toPeer);
  else if (tag === 0x22) {
    // Two of them would have to be merged; nobody sends that.
    if (wrapper.length >= 0) throw new MalformedWire();
    const end = reader.inner();
    wrapper.ptr = reader.at;
    wrapper.length = end - reader.at;
    reader.at = end;
  } else if (tag === 0x2a) {
    wrapper.epoch ??= { confVer: 0, version: 0 };
    readEpoch(reader, wrapper.epoch);
  } else if (tag === 0x30) {
    reader.varint();
    wrapper.isTombstone = (reader.low | reader.high) !== 0;
  } else if (tag === 0x3a) wrapper.startKey = reader.enter().view().slice();
  else if (tag === 0x42) wrapper.endKey = reader.enter().view().slice();
  else if (tag === 0x52) wrapper.content = readExtra(reader.enter().view());
  else reader.skip(tag);
}

function isPeer({ id, storeId, role }: MutablePeer): boolean {
  return id > 0 && storeId > 0 && role <= PEER_ROLE.DemotingVoter;
}

/** Returns the message of a wrapper and its content; undefined as for raftMessageFromWire. */
export function unwrap(wrapper: Wrapper, message: Message | undefined): RaftMessage | undefined {
  const { regionId, fromPeer, toPeer, epoch, content } = wrapper;
  if (regionId <= 0 || !isPeer(fromPeer) || !isPeer(toPeer)) return undefined;
  if (epoch === undefined || epoch.confVer < 0 || epoch.version < 0) return undefined;
  if (content === undefined) return undefined;
  return raftMessageOf({
    regionId,
    fromPeer: fromPeer as RaftPeer & { role: PeerRole },
    toPeer: toPeer as RaftPeer & { role: PeerRole },
    epoch,
    message,
    isTombstone: wrapper.isTombstone,
    startKey: wrapper.startKey,
    endKey: wrapper.endKey,
    content,
  });
}
