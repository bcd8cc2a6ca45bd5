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
import { MalformedWire, WireReader } from "../pb/index.js";

/** One request; `body` is a view into the message. */
export interface SplitRequest {
  readonly cmd: number;
  readonly body: Uint8Array;
  idLow: number;
  idHigh: number;
}

const CMD_EMPTY = 255;

function isKnownCmd(cmd: number): boolean {
  return cmd <= 26 || (cmd >= 33 && cmd <= 40) || cmd === CMD_EMPTY;
}

function splitRequest(wire: WireReader): SplitRequest {
  let cmd = 0;
  let body = wire.view().subarray(0, 0);
  while (wire.more) {
    const tag = wire.tag();
    if ((tag & 7) === 2 && isKnownCmd(tag >>> 3)) {
      cmd = tag >>> 3;
      body = wire.enter().view();
    } else wire.skip(tag);
  }
  return { cmd, body, idLow: 0, idHigh: 0 };
}

function split(frame: Uint8Array, requestsMax: number): SplitRequest[] | number {
  const wire = new WireReader(frame);
  const requests: SplitRequest[] = [];
  const ids: number[] = [];
  while (wire.more) {
    const tag = wire.tag();
    if (tag === 0x0a) {
      if (requests.length === requestsMax) return BATCH_STATUS_TOO_MANY;
      requests.push(splitRequest(wire.enter()));
    } else if (tag === 0x10) {
      wire.varint();
      ids.push(wire.low, wire.high);
    } else if (tag === 0x12) {
      const packed = wire.enter();
      while (packed.more) {
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
    if (error instanceof MalformedWire) return BATCH_STATUS_MALFORMED;
    throw error;
  }
}
