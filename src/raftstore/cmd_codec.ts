/**
 * What an entry of a region's log carries: commands as raft_cmdpb.RaftCmdRequest, and back.
 * A write of data carries a write batch representation in custom_request.data, so that applying is
 * concatenation of records. Its form is encoded and decoded by hand here (hot path); the static
 * protobuf code does the others and is the specification of both.
 *
 * Fields that this version does not know are skipped. An entry that does not parse, or a command
 * that this version does not write, is damage of the log: an assertion, since no peer may skip an
 * entry that others apply. Not here: Raft's own entries and messages (raft/wire.ts).
 */
import { AssertionError, assert, EMPTY_BYTES, errorMessage, idToNumber } from "../base/index.js";
import { representationCount } from "../engine/index.js";
import { WRITE_BATCH_COUNT_OFFSET, WRITE_BATCH_HEADER } from "../kernel/index.js";
import { fromBigInt, raft_cmdpb, toBigInt, toNumber, type Wire64 } from "../pb/index.js";
import { type ConfChangeSingle, ConfChangeTransition, type ConfChangeV2 } from "../raft/index.js";
import type { AdminCommand, PeerChange, SplitPart } from "./commands.js";
import { peerFromPb, peerToPb } from "./local_state.js";
import type { RaftPeer } from "./raft_message.js";
import type { PeerInfo, RegionInfo } from "./region.js";

/** raft_cmdpb.RaftRequestHeader, the part that applying needs. Numbers below 2^53. */
export interface CommandHeader {
  readonly regionId: number;
  /** Who proposed it. */
  readonly peer: RaftPeer;
  /** The epoch that it was proposed for; compared again when it is applied. */
  readonly confVer: number;
  readonly version: number;
  /** The proposer's term. */
  readonly term: number;
}

/** Admin commands that go through the log. */
export type LoggedAdmin = Exclude<AdminCommand, { readonly kind: "transferLeader" }>;

/** The command in an entry. `data` is a view into the entry. */
export type Command =
  | { readonly kind: "write"; readonly header: CommandHeader; readonly data: Uint8Array }
  | { readonly kind: "admin"; readonly header: CommandHeader; readonly command: LoggedAdmin };

/** Returns the header of a proposal by `self` for the region as it is. */
export function commandHeader(region: RegionInfo, self: PeerInfo, term: number): CommandHeader {
  return {
    regionId: idToNumber(region.id),
    peer: { id: idToNumber(self.id), storeId: idToNumber(self.storeId), role: self.role },
    confVer: idToNumber(region.confVer),
    version: idToNumber(region.version),
    term,
  };
}

const FIELD_HEADER = 1;
const FIELD_CUSTOM = 5;
const LENGTH_DELIMITED = 2;
const TAG_HEADER = (FIELD_HEADER << 3) | LENGTH_DELIMITED;
const TAG_CUSTOM = (FIELD_CUSTOM << 3) | LENGTH_DELIMITED;
const TAG_DATA = (1 << 3) | LENGTH_DELIMITED;
const TAG_REGION_ID = 1 << 3;
const TAG_PEER = (2 << 3) | LENGTH_DELIMITED;
const TAG_EPOCH = (5 << 3) | LENGTH_DELIMITED;
const TAG_TERM = 6 << 3;
const BYTE_HIGH = 2 ** 28;

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Size of a u64 field; zero is left out. */
function fieldSize(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value);
}

function peerSize({ id, storeId, role }: RaftPeer): number {
  return fieldSize(id) + fieldSize(storeId) + fieldSize(role);
}

function epochSize({ confVer, version }: CommandHeader): number {
  return fieldSize(confVer) + fieldSize(version);
}

/** All lengths of peer and epoch are below 128: each holds at most three short fields. */
function headerSize(header: CommandHeader): number {
  const nested = 2 + peerSize(header.peer) + 2 + epochSize(header);
  return fieldSize(header.regionId) + nested + fieldSize(header.term);
}

class FieldWriter {
  at = 0;

  constructor(readonly bytes: Uint8Array) {}

  varint(value: number): void {
    let rest = value;
    while (rest >= BYTE_HIGH) {
      this.bytes[this.at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
  }

  field(tag: number, value: number): void {
    if (value === 0) return;
    this.bytes[this.at++] = tag;
    this.varint(value);
  }

  /** The tag and length of a nested field; its bytes follow. */
  open(tag: number, length: number): void {
    this.bytes[this.at++] = tag;
    this.varint(length);
  }

  header(header: CommandHeader): void {
    this.field(TAG_REGION_ID, header.regionId);
    this.open(TAG_PEER, peerSize(header.peer));
    this.field(1 << 3, header.peer.id);
    this.field(2 << 3, header.peer.storeId);
    this.field(3 << 3, header.peer.role);
    this.open(TAG_EPOCH, epochSize(header));
    this.field(1 << 3, header.confVer);
    this.field(2 << 3, header.version);
    this.field(TAG_TERM, header.term);
  }
}

/**
 * Returns the entry data of one or several writes of the same epoch: their records, in order.
 * Asserts that each part has a whole write batch header.
 */
export function encodeWrites(header: CommandHeader, parts: readonly Uint8Array[]): Uint8Array {
  let count = 0;
  let length = WRITE_BATCH_HEADER;
  for (const part of parts) {
    count += representationCount(part);
    length += part.length - WRITE_BATCH_HEADER;
  }
  assert(count <= 0xffff_ffff, "the record count fits into u32");
  const head = headerSize(header);
  const custom = 1 + varintSize(length) + length;
  const total = 1 + varintSize(head) + head + 1 + varintSize(custom) + custom;
  const writer = new FieldWriter(new Uint8Array(total));
  writer.open(TAG_HEADER, head);
  writer.header(header);
  writer.open(TAG_CUSTOM, custom);
  writer.open(TAG_DATA, length);
  const { bytes } = writer;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(writer.at + WRITE_BATCH_COUNT_OFFSET, count, true);
  let at = writer.at + WRITE_BATCH_HEADER;
  for (const part of parts) {
    bytes.set(part.subarray(WRITE_BATCH_HEADER), at);
    at += part.length - WRITE_BATCH_HEADER;
  }
  assert(at === total, "the length of an entry is computed before it is written");
  return bytes;
}

function wire(value: number): ReturnType<typeof fromBigInt> | null {
  return value === 0 ? null : fromBigInt(BigInt(value));
}

function headerToPb(header: CommandHeader): raft_cmdpb.IRaftRequestHeader {
  const { id, storeId, role } = header.peer;
  return {
    regionId: wire(header.regionId),
    peer: { id: wire(id), storeId: wire(storeId), role: role === 0 ? null : role },
    regionEpoch: { confVer: wire(header.confVer), version: wire(header.version) },
    term: wire(header.term),
  };
}

function adminToPb(command: LoggedAdmin): raft_cmdpb.IAdminRequest {
  switch (command.kind) {
    case "changePeer":
      return {
        cmdType: raft_cmdpb.AdminCmdType.ChangePeerV2,
        changePeerV2: {
          changes: command.changes.map(({ type, peer }) => ({
            changeType: type,
            peer: peerToPb(peer),
          })),
        },
      };
    case "split":
      return {
        cmdType: raft_cmdpb.AdminCmdType.BatchSplit,
        splits: {
          requests: command.parts.map((part) => ({
            splitKey: part.splitKey,
            newRegionId: fromBigInt(part.newRegionId),
            newPeerIds: part.newPeerIds.map(fromBigInt),
          })),
          rightDerive: command.rightDerive,
        },
      };
    case "compactLog":
      return {
        cmdType: raft_cmdpb.AdminCmdType.CompactLog,
        compactLog: { compactIndex: wire(command.index), compactTerm: wire(command.term) },
      };
  }
}

/** Returns the entry data of an admin command; for a change of peers, see confChange. */
export function encodeAdmin(header: CommandHeader, command: LoggedAdmin): Uint8Array {
  return raft_cmdpb.RaftCmdRequest.encode({
    header: headerToPb(header),
    adminRequest: adminToPb(command),
  }).finish();
}

/**
 * Returns the Raft change of a changePeer command, with the command as its context. One change is
 * simple; several go through a joint state that is left by a command without changes.
 */
export function confChange(header: CommandHeader, changes: readonly PeerChange[]): ConfChangeV2 {
  const singles: ConfChangeSingle[] = changes.map(({ type, peer }) => ({
    type,
    id: idToNumber(peer.id),
  }));
  const { Auto, Explicit } = ConfChangeTransition;
  return {
    transition: changes.length <= 1 ? Auto : Explicit,
    changes: singles,
    context: encodeAdmin(header, { kind: "changePeer", changes }),
  };
}

/** The hand-written decoder; throws AssertionError when a length leaves the bytes. */
class FieldReader {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
    public end: number,
  ) {}

  get more(): boolean {
    return this.at < this.end;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      assert(this.at < this.end, "a number of a log entry is whole");
      const byte = this.bytes[this.at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        assert(value <= Number.MAX_SAFE_INTEGER, "numbers of a log entry are below 2^53");
        return value;
      }
    }
    throw new AssertionError("numbers of a log entry are below 2^53");
  }

  /** A reader of the nested field that starts here; this one goes on behind it. */
  nested(): FieldReader {
    const length = this.varint();
    const start = this.at;
    assert(length <= this.end - start, "a field of a log entry is whole");
    this.at = start + length;
    return new FieldReader(this.bytes, start, this.at);
  }

  rest(): Uint8Array {
    return this.bytes.subarray(this.at, this.end);
  }

  skip(tag: number): void {
    const type = tag & 7;
    if (type === LENGTH_DELIMITED) this.nested();
    else if (type === 0) while ((this.byte() & 0x80) !== 0);
    else {
      assert(type === 1 || type === 5, "fields of a log entry have a known type");
      this.at += type === 1 ? 8 : 4;
      assert(this.at <= this.end, "a field of a log entry is whole");
    }
  }

  private byte(): number {
    assert(this.at < this.end, "a field of a log entry is whole");
    return this.bytes[this.at++] as number;
  }
}

function readPeer(reader: FieldReader): RaftPeer {
  let [id, storeId, role] = [0, 0, 0];
  while (reader.more) {
    const tag = reader.varint();
    if (tag === 1 << 3) id = reader.varint();
    else if (tag === 2 << 3) storeId = reader.varint();
    else if (tag === 3 << 3) role = reader.varint();
    else reader.skip(tag);
  }
  assert(role <= 3, "a peer in a log entry has a known role");
  return { id, storeId, role: role as RaftPeer["role"] };
}

const NO_PEER: RaftPeer = { id: 0, storeId: 0, role: 0 };

function readHeader(reader: FieldReader): CommandHeader {
  let [regionId, confVer, version, term] = [0, 0, 0, 0];
  let peer = NO_PEER;
  while (reader.more) {
    const tag = reader.varint();
    if (tag === TAG_REGION_ID) regionId = reader.varint();
    else if (tag === TAG_TERM) term = reader.varint();
    else if (tag === TAG_PEER) peer = readPeer(reader.nested());
    else if (tag === TAG_EPOCH) {
      const epoch = reader.nested();
      while (epoch.more) {
        const inner = epoch.varint();
        if (inner === 1 << 3) confVer = epoch.varint();
        else if (inner === 2 << 3) version = epoch.varint();
        else epoch.skip(inner);
      }
    } else reader.skip(tag);
  }
  return { regionId, peer, confVer, version, term };
}

function readCustom(reader: FieldReader): Uint8Array | undefined {
  let data: Uint8Array | undefined;
  while (reader.more) {
    const tag = reader.varint();
    if (tag === TAG_DATA) data = reader.nested().rest();
    else reader.skip(tag);
  }
  return data;
}

/** Returns the command in the data of an entry. Asserts that it is one; see the head comment. */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new FieldReader(bytes, 0, bytes.length);
  let header: CommandHeader | undefined;
  let data: Uint8Array | undefined;
  while (reader.more) {
    const tag = reader.varint();
    if (tag === TAG_HEADER) header = readHeader(reader.nested());
    else if (tag === TAG_CUSTOM) data = readCustom(reader.nested());
    else reader.skip(tag);
  }
  assert(header !== undefined, "a command in the log has a header");
  if (data === undefined) return { kind: "admin", header, command: decodeAdmin(bytes) };
  assert(data.length >= WRITE_BATCH_HEADER, "a write in the log has a whole batch header");
  return { kind: "write", header, data };
}

function decodeAdmin(bytes: Uint8Array): LoggedAdmin {
  try {
    const request = raft_cmdpb.RaftCmdRequest.decode(bytes).adminRequest;
    if (request != null) return adminFromPb(request);
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    throw new AssertionError(`a log entry does not parse: ${errorMessage(error)}`);
  }
  throw new AssertionError("a log entry holds neither data nor an admin command");
}

function adminFromPb(request: raft_cmdpb.IAdminRequest): LoggedAdmin {
  const { AdminCmdType } = raft_cmdpb;
  switch (request.cmdType) {
    case AdminCmdType.ChangePeerV2:
      return { kind: "changePeer", changes: (request.changePeerV2?.changes ?? []).map(changeOf) };
    case AdminCmdType.BatchSplit:
      return {
        kind: "split",
        parts: (request.splits?.requests ?? []).map(partOf),
        rightDerive: request.splits?.rightDerive ?? false,
      };
    case AdminCmdType.CompactLog:
      return {
        kind: "compactLog",
        index: toNumber((request.compactLog?.compactIndex ?? 0) as Wire64),
        term: toNumber((request.compactLog?.compactTerm ?? 0) as Wire64),
      };
    default:
      throw new AssertionError(
        `admin command ${request.cmdType} in the log is not of this version`,
      );
  }
}

function changeOf(change: raft_cmdpb.IChangePeerRequest): PeerChange {
  const type = change.changeType ?? 0;
  assert(type === 0 || type === 1 || type === 2, "a change of peers has a known type");
  return { type, peer: peerFromPb(change.peer ?? {}) };
}

function partOf(split: raft_cmdpb.ISplitRequest): SplitPart {
  return {
    // A copy, whichever kind of array the entry is: Buffer.slice would share it.
    splitKey: new Uint8Array(split.splitKey ?? EMPTY_BYTES),
    newRegionId: toBigInt((split.newRegionId ?? 0) as Wire64),
    newPeerIds: (split.newPeerIds ?? []).map((id) => toBigInt(id as Wire64)),
  };
}
