/**
 * BatchCommandsRequest messages that do not fit into the tables of a turn: too many bytes or too
 * many keys. Splits a message into its requests without building objects for their fields; each
 * then goes the cold way. Same rules as the decode kernel. Not hot.
 */
import {
  BATCH_STATUS_MALFORMED,
  BATCH_STATUS_MISMATCH,
  BATCH_STATUS_TOO_MANY,
} from "../kernel/index.js";

/** One request; `body` is a view into the message. */
export interface SplitRequest {
  readonly cmd: number;
  readonly body: Uint8Array;
  idLow: number;
  idHigh: number;
}

const DEPTH_MAX = 100;
const CMD_EMPTY = 255;

class Malformed extends Error {}

/** A cursor over protobuf's wire format; throws Malformed. */
class Wire {
  readonly #bytes: Uint8Array;
  at: number;
  readonly end: number;
  low = 0;
  high = 0;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Reads a varint into low and high. */
  varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw new Malformed();
      const byte = this.#bytes[this.at++] as number;
      const part = byte & 0x7f;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high = part >>> 4;
      } else high |= (shift === 63 ? part & 1 : part) << (shift - 32);
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw new Malformed();
  }

  tag(): number {
    this.varint();
    if (this.high !== 0 || this.low >>> 3 === 0) throw new Malformed();
    return this.low;
  }

  /** Enters a length-delimited field. */
  inner(): Wire {
    this.varint();
    if (this.high !== 0 || this.low > this.end - this.at) throw new Malformed();
    const inner = new Wire(this.#bytes, this.at, this.at + this.low);
    this.at = inner.end;
    return inner;
  }

  view(): Uint8Array {
    return this.#bytes.subarray(this.at, this.end);
  }

  skip(tag: number, depth = 0): void {
    const wireType = tag & 7;
    if (wireType === 0) this.varint();
    else if (wireType === 2) this.inner();
    else if (wireType === 1 || wireType === 5) {
      const width = wireType === 1 ? 8 : 4;
      if (this.end - this.at < width) throw new Malformed();
      this.at += width;
    } else if (wireType !== 3 || depth >= DEPTH_MAX) throw new Malformed();
    else this.#skipGroup(tag >>> 3, depth);
  }

  #skipGroup(field: number, depth: number): void {
    for (;;) {
      const tag = this.tag();
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== field) throw new Malformed();
        return;
      }
      this.skip(tag, depth + 1);
    }
  }
}

function isKnownCmd(cmd: number): boolean {
  return cmd <= 26 || (cmd >= 33 && cmd <= 40) || cmd === CMD_EMPTY;
}

function splitRequest(wire: Wire): SplitRequest {
  let cmd = 0;
  let body = wire.view().subarray(0, 0);
  while (wire.at < wire.end) {
    const tag = wire.tag();
    if ((tag & 7) === 2 && isKnownCmd(tag >>> 3)) {
      cmd = tag >>> 3;
      body = wire.inner().view();
    } else wire.skip(tag);
  }
  return { cmd, body, idLow: 0, idHigh: 0 };
}

function split(frame: Uint8Array, requestsMax: number): SplitRequest[] | number {
  const wire = new Wire(frame, 0, frame.length);
  const requests: SplitRequest[] = [];
  const ids: number[] = [];
  while (wire.at < wire.end) {
    const tag = wire.tag();
    if (tag === 0x0a) {
      if (requests.length === requestsMax) return BATCH_STATUS_TOO_MANY;
      requests.push(splitRequest(wire.inner()));
    } else if (tag === 0x10) {
      wire.varint();
      ids.push(wire.low, wire.high);
    } else if (tag === 0x12) {
      const packed = wire.inner();
      while (packed.at < packed.end) {
        packed.varint();
        ids.push(packed.low, packed.high);
      }
    } else wire.skip(tag);
  }
  if (ids.length !== 2 * requests.length) return BATCH_STATUS_MISMATCH;
  requests.forEach((request, index) => {
    request.idLow = ids[2 * index] as number;
    request.idHigh = ids[2 * index + 1] as number;
  });
  return requests;
}

/** Returns the requests of a message, or the BATCH_STATUS that refuses it. */
export function splitFrame(frame: Uint8Array, requestsMax: number): SplitRequest[] | number {
  try {
    return split(frame, requestsMax);
  } catch (error) {
    if (error instanceof Malformed) return BATCH_STATUS_MALFORMED;
    throw error;
  }
}
