/** Messages of a peer on their way out: who they are from and to, which region they are about. */
import { EMPTY_BYTES, idToNumber } from "../base/index.js";
import { type Message, MessageType } from "../raft/index.js";
import type { Peer } from "./peer.js";
import type { PeerContext } from "./peer_context.js";
import { EXTRA_MESSAGE, type RaftMessage, type RaftPeer } from "./raft_message.js";
import type { PeerInfo } from "./region.js";

/** Returns a peer with Numbers for its ids. */
export function toRaftPeer({ id, storeId, role }: PeerInfo): RaftPeer {
  return { id: idToNumber(id), storeId: idToNumber(storeId), role };
}

/** Whether a message may make a peer where it arrives: see peer_create.ts. */
export function mayCreatePeer({ type, commit }: Message): boolean {
  return (
    type === MessageType.RequestVote ||
    type === MessageType.RequestPreVote ||
    (type === MessageType.Heartbeat && commit === 0)
  );
}

/** Returns what every message of this peer to another says. */
export function messageBase(peer: Peer, toPeer: RaftPeer): RaftMessage {
  const { region } = peer;
  return {
    regionId: peer.regionId,
    fromPeer: toRaftPeer(peer.self),
    toPeer,
    epoch: { confVer: idToNumber(region.confVer), version: idToNumber(region.version) },
    message: undefined,
    isTombstone: false,
    startKey: EMPTY_BYTES,
    endKey: EMPTY_BYTES,
    extra: EXTRA_MESSAGE.None,
    checkRegion: undefined,
  };
}

/** Queues messages; who cannot be reached is reported to Raft at once. */
export function sendMessages(peer: Peer, ctx: PeerContext, messages: readonly Message[]): void {
  for (const message of messages) {
    const toPeer = peer.addressOf(message.to);
    ctx.metrics.ready.message++;
    const sent = toPeer !== undefined && sendOne(peer, ctx, toPeer, message);
    if (sent) continue;
    peer.rawNode.reportUnreachable(message.to);
    if (message.type === MessageType.Snapshot) peer.rawNode.reportSnapshot(message.to, true);
  }
}

function sendOne(peer: Peer, ctx: PeerContext, toPeer: RaftPeer, message: Message): boolean {
  const { region } = peer;
  const range = mayCreatePeer(message)
    ? { startKey: region.startKey, endKey: region.endKey }
    : undefined;
  const raftMessage = { ...messageBase(peer, toPeer), message, ...range };
  if (ctx.transport.send(raftMessage) === "full") return false;
  ctx.metrics.sent[message.type] = (ctx.metrics.sent[message.type] ?? 0) + 1;
  return true;
}
