/**
 * RaftMessage as raft_serverpb, and back, by protobufjs: the plain form and the specification of
 * message_codec.ts. Used for single messages, and for those that do not fit into the arena.
 *
 * A CheckStalePeerResponse carries its region in the fields that TiKV uses: epoch and range of the
 * message, peers in check_peers.
 */
import { EMPTY_BYTES, idToNumber } from "../base/index.js";
import {
  eraftpb,
  fromBigInt,
  type metapb,
  raft_serverpb,
  tikvpb,
  toSafeNumber,
  type Wire64,
} from "../pb/index.js";
import { messageFromWire, messageToWire } from "../raft/index.js";
import {
  EXTRA_MESSAGE,
  type ExtraMessageKind,
  type RaftMessage,
  type RaftPeer,
} from "./raft_message.js";
import { PEER_ROLE, type PeerRole, type RegionInfo } from "./region.js";

/** raft_serverpb.ExtraMessageType of the kinds that are spoken here. */
export const EXTRA_WIRE = { checkStalePeer: 2, checkStalePeerResponse: 3 } as const;

const ROLE_MAX = PEER_ROLE.DemotingVoter;

function wire(value: number): ReturnType<typeof fromBigInt> {
  return fromBigInt(BigInt(value));
}

/** Returns a number, or -1 for one that a RaftMessage cannot hold. */
function num(value: Wire64 | null | undefined): number {
  const number = toSafeNumber(value ?? 0);
  return number === undefined || number < 0 ? -1 : number;
}

/** Returns a message whose epoch and range are those of the region that it tells of, if any. */
export function regionOf(message: RaftMessage): RaftMessage {
  const region = message.checkRegion;
  if (region === undefined) return message;
  const epoch = { confVer: idToNumber(region.confVer), version: idToNumber(region.version) };
  return { ...message, epoch, startKey: region.startKey, endKey: region.endKey };
}

function peerToWire(peer: RaftPeer): metapb.IPeer {
  return { id: wire(peer.id), storeId: wire(peer.storeId), role: peer.role };
}

/** Returns the bytes of the extra message, or undefined for none. */
export function encodeExtra(message: RaftMessage): Uint8Array | undefined {
  if (message.extra === EXTRA_MESSAGE.None) return undefined;
  const checkPeers = message.checkRegion?.peers.map(({ id, storeId, role }) => ({
    id: fromBigInt(id),
    storeId: fromBigInt(storeId),
    role,
  }));
  return raft_serverpb.ExtraMessage.encode({
    type: EXTRA_WIRE[message.extra],
    ...(checkPeers === undefined ? {} : { checkPeers }),
  }).finish();
}

/** Returns the message as a wire object; bytes are shared. */
export function raftMessageToWire(original: RaftMessage): raft_serverpb.IRaftMessage {
  const message = regionOf(original);
  const extra = encodeExtra(message);
  return {
    regionId: wire(message.regionId),
    fromPeer: peerToWire(message.fromPeer),
    toPeer: peerToWire(message.toPeer),
    regionEpoch: { confVer: wire(message.epoch.confVer), version: wire(message.epoch.version) },
    isTombstone: message.isTombstone,
    startKey: message.startKey,
    endKey: message.endKey,
    ...(message.message === undefined ? {} : { message: messageToWire(message.message) }),
    ...(extra === undefined ? {} : { extraMsg: raft_serverpb.ExtraMessage.decode(extra) }),
  };
}

function peerFromWire(peer: metapb.IPeer | null | undefined): RaftPeer | undefined {
  const id = num(peer?.id);
  const storeId = num(peer?.storeId);
  const role = peer?.role ?? 0;
  if (id <= 0 || storeId <= 0 || role < 0 || role > ROLE_MAX) return undefined;
  return { id, storeId, role: role as PeerRole };
}

/** What an extra message says: its kind, and the peers of a response. */
export interface ExtraContent {
  readonly extra: ExtraMessageKind;
  readonly peers: readonly RaftPeer[];
}

/** Returns the content, or undefined for a kind that is not spoken here. */
export function extraFromWire(extra: raft_serverpb.IExtraMessage): ExtraContent | undefined {
  if (extra.type === EXTRA_WIRE.checkStalePeer) return { extra: "checkStalePeer", peers: [] };
  if (extra.type !== EXTRA_WIRE.checkStalePeerResponse) return undefined;
  const peers: RaftPeer[] = [];
  for (const item of extra.checkPeers ?? []) {
    const peer = peerFromWire(item);
    if (peer === undefined) return undefined;
    peers.push(peer);
  }
  // Without peers it would tell everybody to go.
  return peers.length === 0 ? undefined : { extra: "checkStalePeerResponse", peers };
}

/** What a message consists of on the wire, checked field by field. */
type Fields = Omit<RaftMessage, "checkRegion" | "extra"> & { readonly content: ExtraContent };

/** Returns the region that a response tells of. */
function checkRegionOf(fields: Fields): RegionInfo | undefined {
  if (fields.content.extra !== EXTRA_MESSAGE.CheckStalePeerResponse) return undefined;
  return {
    id: BigInt(fields.regionId),
    startKey: fields.startKey,
    endKey: fields.endKey,
    confVer: BigInt(fields.epoch.confVer),
    version: BigInt(fields.epoch.version),
    peers: fields.content.peers.map(({ id, storeId, role }) => ({
      id: BigInt(id),
      storeId: BigInt(storeId),
      role,
    })),
  };
}

export const NO_EXTRA: ExtraContent = { extra: EXTRA_MESSAGE.None, peers: [] };

/** Returns the message of these fields, or undefined if it says nothing. */
export function raftMessageOf(fields: Fields): RaftMessage | undefined {
  const { regionId, fromPeer, toPeer, epoch, message, isTombstone, content } = fields;
  const { extra } = content;
  if (message === undefined && !isTombstone && extra === EXTRA_MESSAGE.None) return undefined;
  const { startKey, endKey } = fields;
  const checkRegion = checkRegionOf(fields);
  return {
    regionId,
    fromPeer,
    toPeer,
    epoch,
    message,
    isTombstone,
    startKey,
    endKey,
    extra,
    checkRegion,
  };
}

/**
 * Returns a decoded message; undefined when it lacks region, peers or epoch, when a number is above
 * 2^53 - 1, or when it says what is not spoken here. Bytes are shared.
 */
export function raftMessageFromWire(message: raft_serverpb.IRaftMessage): RaftMessage | undefined {
  const fromPeer = peerFromWire(message.fromPeer);
  const toPeer = peerFromWire(message.toPeer);
  const regionId = num(message.regionId);
  const { regionEpoch, extraMsg } = message;
  const confVer = num(regionEpoch?.confVer);
  const version = num(regionEpoch?.version);
  const content = extraMsg ? extraFromWire(extraMsg) : NO_EXTRA;
  if (fromPeer === undefined || toPeer === undefined || content === undefined) return undefined;
  if (regionId <= 0 || !regionEpoch || confVer < 0 || version < 0) return undefined;
  const inner = message.message
    ? messageFromWire(eraftpb.Message.create(message.message))
    : undefined;
  if (message.message && inner === undefined) return undefined;
  return raftMessageOf({
    regionId,
    fromPeer,
    toPeer,
    epoch: { confVer, version },
    message: inner,
    isTombstone: message.isTombstone ?? false,
    startKey: message.startKey ?? EMPTY_BYTES,
    endKey: message.endKey ?? EMPTY_BYTES,
    content,
  });
}

/** Returns the bytes of one raft_serverpb.RaftMessage. */
export function encodeRaftMessage(message: RaftMessage): Uint8Array {
  return raft_serverpb.RaftMessage.encode(raftMessageToWire(message)).finish();
}

/** "malformed": no protobuf. "refused": see raftMessageFromWire. */
export type DecodeProblem = "malformed" | "refused";

/** Decodes a copy, because protobufjs hands out views and entries outlive what they came in. */
function decoded<T>(type: { decode(bytes: Uint8Array): T }, bytes: Uint8Array): T | undefined {
  try {
    return type.decode(new Uint8Array(bytes));
  } catch {
    return undefined;
  }
}

/** Returns the message in the bytes of a raft_serverpb.RaftMessage; its bytes are copies. */
export function decodeRaftMessage(bytes: Uint8Array): RaftMessage | DecodeProblem {
  const message = decoded(raft_serverpb.RaftMessage, bytes);
  if (message === undefined) return "malformed";
  return raftMessageFromWire(message) ?? "refused";
}

/** A frame's messages in order, "refused" for each that cannot be held. */
export type DecodedFrame = readonly (RaftMessage | "refused")[] | "malformed";

/** Returns the messages of a tikvpb.BatchRaftMessage; their bytes are copies. */
export function decodeFramePlain(frame: Uint8Array): DecodedFrame {
  const batch = decoded(tikvpb.BatchRaftMessage, frame);
  if (batch === undefined) return "malformed";
  return batch.msgs.map((message) => raftMessageFromWire(message) ?? "refused");
}
