/**
 * Frames of Raft messages between stores: values to bytes and bytes to values, all copies included.
 * Messages: appends of one entry of 256 bytes, each of another region, and heartbeat answers. One
 * item is one frame; `protobufjs` is static code with the mapping to values that a store needs.
 */
import { concatBytes, utf8 } from "../../src/base/index.js";
import { loadKernels } from "../../src/kernel/index.js";
import { tikvpb } from "../../src/pb/index.js";
import { type DecodedFrame, MessageCodec, type RaftMessage } from "../../src/raftstore/index.js";
import { decodeFramePlain, raftMessageToWire } from "../../src/raftstore/message_wire.js";
import { appendTo, showMessage } from "../../test/support/raft_messages.js";
import { type BenchContext, measureSync, type Report, type SyncCase } from "../harness.js";

const SIZES = [1, 16, 64];
const BUILDS = ["js", "wasm", "simd"] as const;
const LIMITS = { messagesMax: 256, bytesMax: 10 << 20 };
const MEMORY_BYTES = 16 << 20;
const ENTRY_BYTES = 256;

interface Codec {
  encode(messages: readonly RaftMessage[]): Uint8Array[];
  decode(frames: readonly Uint8Array[]): readonly DecodedFrame[];
}

const PROTOBUFJS: Codec = {
  encode: (messages) => [
    tikvpb.BatchRaftMessage.encode({ msgs: messages.map(raftMessageToWire) }).finish(),
  ],
  decode: (frames) => frames.map(decodeFramePlain),
};

function kernelCodec(build: (typeof BUILDS)[number]): Codec {
  const codec = new MessageCodec(loadKernels({ build, memoryBytes: MEMORY_BYTES }));
  return {
    encode(messages) {
      const targets = messages.map(() => 0);
      return codec.encodeFrames(messages, targets, 1, LIMITS).map(({ bytes }) => bytes);
    },
    decode: (frames) => codec.decodeFrames(frames),
  };
}

/** An answer to a heartbeat: the smallest message there is. */
function answerOf(region: number): RaftMessage {
  const message = appendTo(region, 1_000_000, 0, 0);
  if (message.message === undefined) return message;
  return { ...message, message: { ...message.message, type: 9, logTerm: 0, index: 0 } };
}

const KINDS = {
  append: (region: number): RaftMessage => appendTo(region, 1_000_000, 1, ENTRY_BYTES),
  heartbeat: answerOf,
} as const;

function* cases(): Generator<SyncCase> {
  const codecs: [string, Codec][] = [
    ["protobufjs", PROTOBUFJS],
    ...BUILDS.map((build): [string, Codec] => [build, kernelCodec(build)]),
  ];
  for (const [kind, make] of Object.entries(KINDS)) {
    for (const count of SIZES) {
      const messages = Array.from({ length: count }, (_, i) => make(1000 + 4 * i));
      const params = { kind, messages: count };
      for (const [series, codec] of codecs) {
        let encoded: readonly Uint8Array[] = [];
        yield {
          name: "raft frame encode",
          params,
          series,
          items: 1,
          call: () => {
            encoded = codec.encode(messages);
          },
          result: () => concatBytes(...encoded),
        };
      }
      const frames = PROTOBUFJS.encode(messages);
      for (const [series, codec] of codecs) {
        let decoded: readonly DecodedFrame[] = [];
        yield {
          name: "raft frame decode",
          params,
          series,
          items: 1,
          call: () => {
            decoded = codec.decode(frames);
          },
          result: () => utf8(showMessage(decoded)),
        };
      }
    }
  }
}

/** Bench entry. */
export function run(context: BenchContext): Report[] {
  return measureSync(context, cases());
}
