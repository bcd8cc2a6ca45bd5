/** Raft messages and frames against protobufjs, in both directions, on every kernel build. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../../src/base/index.js";
import { type KernelBuild, loadKernels, PAGE_BYTES } from "../../../src/kernel/index.js";
import { fromBigInt, raft_serverpb, tikvpb } from "../../../src/pb/index.js";
import type { Frame, RaftMessage } from "../../../src/raftstore/index.js";
import { MessageCodec } from "../../../src/raftstore/message_codec.js";
import {
  decodeFramePlain,
  decodeRaftMessage,
  encodeRaftMessage,
  raftMessageToWire,
} from "../../../src/raftstore/message_wire.js";
import { appendTo, raftMessageArbitrary, showMessage } from "../../support/raft_messages.js";

const SEED = 20_240_901;
const BUILDS: readonly KernelBuild[] = ["js", "debug", "wasm", "simd"];
const CODECS = BUILDS.map((build) => {
  const kernels = loadKernels({ build, memoryBytes: 16 * PAGE_BYTES });
  return { build, kernels, codec: new MessageCodec(kernels) };
});
const LIMITS = { messagesMax: 256, bytesMax: 1 << 20 };

function framePlain(messages: readonly RaftMessage[]): Uint8Array {
  return tikvpb.BatchRaftMessage.encode({ msgs: messages.map(raftMessageToWire) }).finish();
}

function framesOf(
  codec: MessageCodec,
  messages: readonly RaftMessage[],
  targets: readonly number[],
  targetCount: number,
  limits = LIMITS,
): Frame[] {
  return codec.encodeFrames(messages, targets, targetCount, limits);
}

const framesArbitrary = fc.array(fc.record({ message: raftMessageArbitrary, target: fc.nat(3) }), {
  maxLength: 12,
});

test("frames are protobufjs' bytes, target by target, in order", () => {
  fc.assert(
    fc.property(framesArbitrary, (items) => {
      const messages = items.map((item) => item.message);
      const targets = items.map((item) => item.target);
      const want = [0, 1, 2, 3]
        .map((target) => messages.filter((_, i) => targets[i] === target))
        .filter((group) => group.length > 0)
        .map((group) => toHex(framePlain(group)));
      for (const { build, codec } of CODECS) {
        const frames = framesOf(codec, messages, targets, 4);
        assert.equal(
          frames.map(({ bytes }) => toHex(bytes)),
          want,
          build,
        );
      }
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test("frames of protobufjs decode to the messages that went in", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(raftMessageArbitrary, { maxLength: 6 }), { maxLength: 4 }),
      (all) => {
        const frames = all.map(framePlain);
        for (const { build, codec } of CODECS) {
          assert.is(showMessage(codec.decodeFrames(frames)), showMessage(all), build);
        }
        assert.is(showMessage(frames.map(decodeFramePlain)), showMessage(all));
      },
    ),
    { seed: SEED, numRuns: 150 },
  );
});

test("one message there and back, by protobufjs alone", () => {
  fc.assert(
    fc.property(raftMessageArbitrary, (message) => {
      assert.is(showMessage(decodeRaftMessage(encodeRaftMessage(message))), showMessage(message));
    }),
    { seed: SEED, numRuns: 200 },
  );
});

/** Damages bytes as `edits` say: overwrite, cut or insert. */
function damage(
  source: Uint8Array,
  edits: readonly (readonly [number, number, number])[],
): Uint8Array {
  let out = [...source];
  for (const [kind, at, value] of edits) {
    const place = out.length === 0 ? 0 : at % out.length;
    if (kind === 0) out[place] = value;
    else if (kind === 1) out = out.slice(0, place);
    else out.splice(place, 0, value);
  }
  return Uint8Array.from(out);
}

test("damaged frames: refused, or what protobufjs makes of them; never a crash", () => {
  const edits = fc.array(fc.tuple(fc.nat(2), fc.nat(5000), fc.nat(255)), {
    minLength: 1,
    maxLength: 4,
  });
  let malformed = 0;
  let accepted = 0;
  let stricter = 0;
  fc.assert(
    fc.property(
      fc.array(raftMessageArbitrary, { minLength: 1, maxLength: 3 }),
      edits,
      (all, how) => {
        const frame = damage(framePlain(all), how);
        const good = framePlain(all);
        const plain = showMessage(decodeFramePlain(frame));
        for (const { build, codec } of CODECS) {
          const [before, hit, behind] = codec.decodeFrames([good, frame, good]).map(showMessage);
          assert.is(before, showMessage(all), `${build}: the frame before`);
          assert.is(behind, showMessage(all), `${build}: the frame behind`);
          // Stricter than protobufjs where the same field comes twice.
          if (hit !== plain) assert.is(hit, '"malformed"', `${build} on ${toHex(frame)}`);
          if (build === "js") {
            if (hit !== plain) stricter++;
            if (hit === '"malformed"') malformed++;
            else accepted++;
          }
        }
      },
    ),
    { seed: SEED, numRuns: 600 },
  );
  assert.ok(stricter < 10, `${stricter} stricter than protobufjs`);
  assert.ok(malformed > 100 && accepted > 50, `${malformed} malformed, ${accepted} accepted`);
});

test("random bytes never crash", () => {
  const [first] = CODECS;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      first?.codec.decodeFrames([bytes]);
      decodeRaftMessage(bytes);
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

test("frames are cut at the number of messages and at the bytes", () => {
  const messages = Array.from({ length: 10 }, (_, i) => appendTo(1, 6 + i, 1, 100));
  const one = framePlain([messages[0] as RaftMessage]).length;
  for (const { build, codec } of CODECS) {
    const targets = messages.map(() => 0);
    const byCount = framesOf(codec, messages, targets, 1, { messagesMax: 4, bytesMax: 1 << 20 });
    assert.equal(
      byCount.map((frame) => frame.messages.length),
      [4, 4, 2],
      build,
    );
    const byBytes = framesOf(codec, messages, targets, 1, { messagesMax: 99, bytesMax: 3 * one });
    assert.equal(
      byBytes.map((frame) => frame.messages.length),
      [3, 3, 3, 1],
      build,
    );
    const tiny = framesOf(codec, messages, targets, 1, { messagesMax: 99, bytesMax: 1 });
    assert.is(tiny.length, 10, "a message above the bound has a frame for itself");
    const again = codec.decodeFrames(tiny.map(({ bytes }) => bytes)).flat();
    assert.is(showMessage(again), showMessage(messages), build);
  }
});

test("what is larger than the arena goes through protobufjs, the rest in several turns", () => {
  const sizes = [100_000, 400_000, 10, 100_000, 100_000, 100_000];
  const messages = sizes.map((size, i) => appendTo(1, 6 + i, 1, size));
  for (const { build, codec } of CODECS) {
    const frames = framesOf(
      codec,
      messages,
      messages.map(() => 0),
      1,
    );
    const again = codec.decodeFrames(frames.map(({ bytes }) => bytes)).flat();
    assert.ok(showMessage(again) === showMessage(messages), build);
  }
});

test("decoded bytes outlive the arena and the frame", () => {
  for (const { build, codec, kernels } of CODECS) {
    const message = appendTo(1, 6, 3, 50);
    const frame = framePlain([message]);
    const [decoded] = codec.decodeFrames([frame]);
    frame.fill(0xcc);
    kernels.arena.u8.fill(0xcc, kernels.arena.input.start, kernels.arena.input.end);
    assert.is(showMessage(decoded), showMessage([message]), build);
  }
});

test("one kernel call encodes the messages of all targets", () => {
  const { codec, kernels } = CODECS[0] as (typeof CODECS)[number];
  const before = kernels.calls.raftMessageEncode.js;
  const messages = Array.from({ length: 30 }, (_, i) => appendTo(i + 1, 6, 1, 10));
  framesOf(
    codec,
    messages,
    messages.map((_, i) => i % 3),
    3,
  );
  assert.is(kernels.calls.raftMessageEncode.js - before, 1);
});

type Wire = raft_serverpb.IRaftMessage;

test("messages that cannot be held are refused one by one", () => {
  const good = appendTo(1, 6, 1, 1);
  const wire = raftMessageToWire(good);
  const huge = fromBigInt(1n << 53n);
  const without = (name: keyof Wire): Wire => ({ ...wire, [name]: null });
  const bad: Record<string, Wire> = {
    "region id 2^53": { ...wire, regionId: huge },
    "region id 0": without("regionId"),
    "no sender": without("fromPeer"),
    "no receiver": without("toPeer"),
    "peer id 2^53": { ...wire, toPeer: { ...wire.toPeer, id: huge } },
    "store id 0": { ...wire, toPeer: { id: fromBigInt(3n) } },
    "unknown role": { ...wire, fromPeer: { ...wire.fromPeer, role: 4 } },
    "no epoch": without("regionEpoch"),
    "epoch 2^53": { ...wire, regionEpoch: { version: huge } },
    "nothing said": without("message"),
    "term 2^53": { ...wire, message: { ...wire.message, term: huge } },
    "unknown message type": { ...wire, message: { ...wire.message, msgType: 19 } },
    "entry index 2^64 - 1": {
      ...wire,
      message: { ...wire.message, entries: [{ index: fromBigInt((1n << 64n) - 1n) }] },
    },
    "unknown entry type": { ...wire, message: { ...wire.message, entries: [{ entryType: 3 }] } },
    hibernation: { ...without("message"), extraMsg: { type: 4 } },
    "a response without peers": { ...without("message"), extraMsg: { type: 3 } },
  };
  for (const [name, message] of Object.entries(bad)) {
    const frame = tikvpb.BatchRaftMessage.encode({ msgs: [wire, message, wire] }).finish();
    const want = showMessage([[good, "refused", good]]);
    for (const { build, codec } of CODECS) {
      assert.is(showMessage(codec.decodeFrames([frame])), want, `${name}, ${build}`);
    }
    assert.is(
      decodeRaftMessage(raft_serverpb.RaftMessage.encode(message).finish()),
      "refused",
      name,
    );
  }
});

test.run();
