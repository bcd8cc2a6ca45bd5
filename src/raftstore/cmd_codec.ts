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
import {
  fieldSize,
  fromBigInt,
  MalformedWire,
  raft_cmdpb,
  toBigInt,
  toNumber,
  varintSize,
  type Wire64,
  WireReader,
  WireWriter,
} from "../pb/index.js";
import { type ConfChangeSingle, ConfChangeTransition, type ConfChangeV2 } from "../raft/index.js";
import type { AdminCommand, PeerChange, SplitPart } from "./commands.js";
import { peerFromPb, peerToPb } from "./local_state.js";
import type { RaftPeer } from "./raft_message.js";
import { PEER_ROLE, type PeerInfo, type RegionInfo } from "./region.js";

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

function writeHeader(out: WireWriter, header: CommandHeader): void {
  const { peer } = header;
  out.field(TAG_REGION_ID, header.regionId);
  out.open(TAG_PEER, peerSize(peer));
  out.field(1 << 3, peer.id);
  out.field(2 << 3, peer.storeId);
  out.field(3 << 3, peer.role);
  out.open(TAG_EPOCH, epochSize(header));
  out.field(1 << 3, header.confVer);
  out.field(2 << 3, header.version);
  out.field(TAG_TERM, header.term);
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
  const out = new WireWriter(new Uint8Array(total));
  out.open(TAG_HEADER, head);
  writeHeader(out, header);
  out.open(TAG_CUSTOM, custom);
  out.open(TAG_DATA, length);
  const view = new DataView(out.bytes.buffer);
  view.setUint32(out.at + WRITE_BATCH_COUNT_OFFSET, count, true);
  out.at += WRITE_BATCH_HEADER;
  for (const part of parts) {
    out.copy(part, WRITE_BATCH_HEADER, part.length - WRITE_BATCH_HEADER);
  }
  return out.finish();
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

/** A number that the log holds: anything above 2^53 - 1 is damage. */
function number(reader: WireReader): number {
  const value = reader.number();
  if (value < 0) throw new MalformedWire();
  return value;
}

function readPeer(reader: WireReader): RaftPeer {
  let [id, storeId, role] = [0, 0, 0];
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 1 << 3) id = number(reader);
    else if (tag === 2 << 3) storeId = number(reader);
    else if (tag === 3 << 3) role = number(reader);
    else reader.skip(tag);
  }
  if (role > PEER_ROLE.DemotingVoter) throw new MalformedWire();
  return { id, storeId, role: role as RaftPeer["role"] };
}

const NO_PEER: RaftPeer = { id: 0, storeId: 0, role: 0 };

function readHeader(reader: WireReader): CommandHeader {
  let [regionId, confVer, version, term] = [0, 0, 0, 0];
  let peer = NO_PEER;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === TAG_REGION_ID) regionId = number(reader);
    else if (tag === TAG_TERM) term = number(reader);
    else if (tag === TAG_PEER) peer = readPeer(reader.enter());
    else if (tag === TAG_EPOCH) {
      const epoch = reader.enter();
      while (epoch.more) {
        const inner = epoch.tag();
        if (inner === 1 << 3) confVer = number(epoch);
        else if (inner === 2 << 3) version = number(epoch);
        else epoch.skip(inner);
      }
    } else reader.skip(tag);
  }
  return { regionId, peer, confVer, version, term };
}

function readCustom(reader: WireReader): Uint8Array | undefined {
  let data: Uint8Array | undefined;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === TAG_DATA) data = reader.enter().view();
    else reader.skip(tag);
  }
  return data;
}

/** Returns the command in the data of an entry. Asserts that it is one; see the head comment. */
export function decodeCommand(bytes: Uint8Array): Command {
  try {
    return decode(bytes);
  } catch (error) {
    if (!(error instanceof MalformedWire)) throw error;
    throw new AssertionError("a log entry does not parse");
  }
}

function decode(bytes: Uint8Array): Command {
  const reader = new WireReader(bytes);
  let header: CommandHeader | undefined;
  let data: Uint8Array | undefined;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === TAG_HEADER) header = readHeader(reader.enter());
    else if (tag === TAG_CUSTOM) data = readCustom(reader.enter());
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
