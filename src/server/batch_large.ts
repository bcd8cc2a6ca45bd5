/** Messages with one large answer: built beside the arena, from the answer's bytes. Not hot. */
import type { Completion } from "./batch_stream.js";

const WIRE_BYTES = 2;
const TAG_RESPONSES = (1 << 3) | WIRE_BYTES;
const TAG_IDS = (2 << 3) | WIRE_BYTES;

function varint(low: number, high: number): number[] {
  const out: number[] = [];
  let rest = (BigInt(high) << 32n) | BigInt(low);
  while (rest >= 0x80n) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return out;
}

/** Returns the BatchCommandsResponse with this answer alone; `body` is copied. */
export function encodeAlone(completion: Completion, body: Uint8Array): Buffer {
  const head = [...varint((completion.cmd << 3) | WIRE_BYTES, 0), ...varint(body.length, 0)];
  const id = varint(completion.idLow, completion.idHigh);
  return Buffer.concat([
    Buffer.from([TAG_RESPONSES, ...varint(head.length + body.length, 0), ...head]),
    body,
    Buffer.from([TAG_IDS, ...varint(id.length, 0), ...id]),
  ]);
}
