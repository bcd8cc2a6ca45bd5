/**
 * Raft messages between values and frames (tikvpb.BatchRaftMessage), many in one turn of the arena:
 *
 *   out  queued messages ──rows──> readyGroup (by target) ──> raftMessageEncode ──> frames, a copy
 *   in   frames ──copied in, wrappers read──> raftMessageDecode ──> values, with copies of bytes
 *
 * What does not fit into the arena, and single messages, go through protobufjs (message_wire.ts).
 * Not here: connections and queues (server/raft_client.ts), what a store does with a message.
 */
import { assert } from "../base/index.js";
import type { Kernels } from "../kernel/index.js";
import { DecodeTurn } from "./message_decode.js";
import {
  type EncodeBatch,
  EncodeTurn,
  encodePlain,
  type Frame,
  type FrameLimits,
  fitting,
} from "./message_encode.js";
import { ByteSlabs } from "./message_rows.js";
import { type DecodedFrame, decodeFramePlain, regionOf } from "./message_wire.js";
import type { RaftMessage } from "./raft_message.js";

/** Encodes and decodes on the kernels of a thread. Never inside of a turn of its arena. */
export class MessageCodec {
  readonly #slabs = new ByteSlabs();

  constructor(private readonly kernels: Kernels) {}

  /**
   * Encodes `messages`, each for the target (below `targetCount`) beside it. Frames to one target
   * hold its messages in order.
   */
  encodeFrames(
    messages: readonly RaftMessage[],
    targets: readonly number[],
    targetCount: number,
    limits: FrameLimits,
  ): Frame[] {
    assert(messages.length === targets.length, "each message has a target");
    const prepared = messages.map(regionOf);
    const frames: Frame[] = [];
    for (let from = 0; from < prepared.length; ) {
      const count = fitting(this.kernels, prepared, from, targetCount);
      const end = from + Math.max(1, count);
      const batch: EncodeBatch = {
        messages: prepared.slice(from, end),
        targets: targets.slice(from, end),
        targetCount,
        limits,
      };
      if (count === 0) frames.push(...encodePlain(batch));
      else frames.push(...this.#encode(batch));
      from = end;
    }
    return frames;
  }

  /** Returns the messages of each frame; see DecodedFrame. */
  decodeFrames(frames: readonly Uint8Array[]): DecodedFrame[] {
    const decoded: DecodedFrame[] = [];
    while (decoded.length < frames.length) {
      const first = decoded.length;
      const count = this.#decode(frames, first, decoded);
      if (count === 0) decoded.push(decodeFramePlain(frames[first] as Uint8Array));
    }
    return decoded;
  }

  #encode(batch: EncodeBatch): Frame[] {
    const { arena } = this.kernels;
    arena.enter();
    try {
      return new EncodeTurn(this.kernels, batch).run();
    } finally {
      arena.leave();
    }
  }

  /** Decodes as many frames from `first` on as fit; returns their number. */
  #decode(frames: readonly Uint8Array[], first: number, decoded: DecodedFrame[]): number {
    const { arena } = this.kernels;
    arena.enter();
    try {
      const turn = new DecodeTurn(this.kernels, this.#slabs);
      let count = 0;
      while (first + count < frames.length && turn.add(frames[first + count] as Uint8Array)) {
        count++;
      }
      if (count > 0) decoded.push(...turn.run());
      return count;
    } finally {
      arena.leave();
    }
  }
}
