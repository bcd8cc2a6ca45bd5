/**
 * Twin of assembly/batch_commands_encode.ts and its specification: response rows to
 * BatchCommandsResponse messages, grouped by stream.
 */
import {
  BATCH_KIND_NONE,
  BATCH_KIND_NOT_FOUND,
  BATCH_KIND_PAIRS,
  BATCH_KIND_VALUE,
  BATCH_OUT_BYTES,
  BATCH_PARAM_ENCODED,
  BATCH_PARAM_KEY_TABLE,
  BATCH_PARAM_MESSAGE_BYTES,
  BATCH_PARAM_MESSAGE_MAX,
  BATCH_PARAM_ORDER,
  BATCH_PARAM_OUT,
  BATCH_PARAM_OUT_END,
  BATCH_PARAM_OUT_FRAME_CAPACITY,
  BATCH_PARAM_OUT_FRAMES,
  BATCH_PARAM_PREFIX_LENGTH,
  BATCH_PARAM_RESPONSE_COUNT,
  BATCH_PARAM_RESPONSES,
  BATCH_PARAM_STREAM_COUNT,
  BATCH_PARAM_TAIL,
  BATCH_PARAM_TAIL_LENGTH,
  BATCH_PARAM_VALUE_TABLE,
  BATCH_RESPONSE_BYTES,
  BATCH_RESPONSE_CMD,
  BATCH_RESPONSE_ID_HIGH,
  BATCH_RESPONSE_ID_LOW,
  BATCH_RESPONSE_KIND,
  BATCH_RESPONSE_LENGTH,
  BATCH_RESPONSE_PTR,
  BATCH_RESPONSE_SIZE,
  BATCH_RESPONSE_STREAM,
  HEADER_ERR_ITEM,
  HEADER_NEEDED,
  SLICE_ABSENT,
  SLICE_BYTES,
} from "../abi.js";
import type { LinearMemory } from "../arena.js";
import { copyBytes, fill, put, putByte, use, word } from "./linear.js";
import { varintSize, writeVarint, writeVarint64 } from "./protobuf.js";

/** Sorts the rows by stream, stable, by counting; leaves row indices in ORDER. */
function orderByStream(params: number): void {
  const count = word(params + BATCH_PARAM_RESPONSE_COUNT);
  const streams = word(params + BATCH_PARAM_STREAM_COUNT);
  const rows = word(params + BATCH_PARAM_RESPONSES);
  const order = word(params + BATCH_PARAM_ORDER);
  const starts = order + (count << 2);
  fill(starts, 0, (streams + 1) << 2);
  let row = rows;
  for (let i: number = 0; i < count; i++, row += BATCH_RESPONSE_BYTES) {
    const at = starts + ((word(row + BATCH_RESPONSE_STREAM) + 1) << 2);
    put(at, word(at) + 1);
  }
  for (let s: number = 1; s <= streams; s++) {
    const at = starts + (s << 2);
    put(at, word(at) + word(at - 4));
  }
  row = rows;
  for (let i: number = 0; i < count; i++, row += BATCH_RESPONSE_BYTES) {
    const at = starts + (word(row + BATCH_RESPONSE_STREAM) << 2);
    const place = word(at);
    put(order + (place << 2), i);
    put(at, place + 1);
  }
}

/** Size of a bytes field with a one-byte tag: absent when empty, as proto3 encodes. */
function bytesFieldSize(length: number): number {
  return length === 0 ? 0 : 1 + varintSize(length, 0) + length;
}

function valueRow(params: number, get: number): number {
  return word(params + BATCH_PARAM_VALUE_TABLE) + get * SLICE_BYTES;
}

function keyRow(params: number, get: number): number {
  return word(params + BATCH_PARAM_KEY_TABLE) + get * SLICE_BYTES;
}

/** Size of the KvPair of a get. */
function pairSize(params: number, get: number): number {
  const key = word(keyRow(params, get) + 4) - word(params + BATCH_PARAM_PREFIX_LENGTH);
  return bytesFieldSize(key) + bytesFieldSize(word(valueRow(params, get) + 4));
}

/** Size of the command's message. */
function messageSize(params: number, row: number): number {
  const kind = word(row + BATCH_RESPONSE_KIND);
  const length = word(row + BATCH_RESPONSE_LENGTH);
  if (kind === BATCH_KIND_VALUE) return bytesFieldSize(length);
  if (kind === BATCH_KIND_NOT_FOUND) return 2;
  if (kind === BATCH_KIND_NONE) return 0;
  if (kind !== BATCH_KIND_PAIRS) return length;
  const first = word(row + BATCH_RESPONSE_PTR);
  let size: number = 0;
  for (let get = first; get < first + length; get++) {
    if (word(valueRow(params, get) + 4) === SLICE_ABSENT) continue;
    const pair = pairSize(params, get);
    size += 1 + varintSize(pair, 0) + pair;
  }
  return size;
}

/** Size of the Response around a message of `size` bytes. */
function responseSize(row: number, size: number): number {
  if (word(row + BATCH_RESPONSE_KIND) === BATCH_KIND_NONE) return 0;
  const tag = (word(row + BATCH_RESPONSE_CMD) << 3) | 2;
  return varintSize(tag, 0) + varintSize(size, 0) + size;
}

function writeBytesField(to: number, tag: number, ptr: number, length: number): number {
  if (length === 0) return to;
  putByte(to, tag);
  return copyBytes(writeVarint(to + 1, length), ptr, length);
}

/** Writes the pairs of a RawBatchGetResponse; keys without their prefix. */
function writePairs(params: number, to: number, first: number, count: number): number {
  const prefixLength = word(params + BATCH_PARAM_PREFIX_LENGTH);
  for (let get = first; get < first + count; get++) {
    const value = valueRow(params, get);
    if (word(value + 4) === SLICE_ABSENT) continue;
    const key = keyRow(params, get);
    putByte(to, 0x12);
    to = writeVarint(to + 1, pairSize(params, get));
    const keyPtr = word(key) + prefixLength;
    to = writeBytesField(to, 0x12, keyPtr, word(key + 4) - prefixLength);
    to = writeBytesField(to, 0x1a, word(value), word(value + 4));
  }
  return to;
}

/** Writes one element of the responses field. */
function writeResponse(params: number, row: number, to: number): number {
  const kind = word(row + BATCH_RESPONSE_KIND);
  const size = word(row + BATCH_RESPONSE_SIZE);
  const ptr = word(row + BATCH_RESPONSE_PTR);
  const length = word(row + BATCH_RESPONSE_LENGTH);
  putByte(to, 0x0a);
  to = writeVarint(to + 1, responseSize(row, size));
  if (kind === BATCH_KIND_NONE) return to;
  to = writeVarint(to, (word(row + BATCH_RESPONSE_CMD) << 3) | 2);
  to = writeVarint(to, size);
  if (kind === BATCH_KIND_VALUE) return writeBytesField(to, 0x1a, ptr, length);
  if (kind === BATCH_KIND_NOT_FOUND) {
    putByte(to, 0x20);
    putByte(to + 1, 1);
    return to + 2;
  }
  if (kind === BATCH_KIND_PAIRS) return writePairs(params, to, ptr, length);
  return copyBytes(to, ptr, length);
}

function orderedRow(params: number, place: number): number {
  const order = word(params + BATCH_PARAM_ORDER);
  const index = word(order + (place << 2));
  return word(params + BATCH_PARAM_RESPONSES) + index * BATCH_RESPONSE_BYTES;
}

function idSize(row: number): number {
  return varintSize(word(row + BATCH_RESPONSE_ID_LOW), word(row + BATCH_RESPONSE_ID_HIGH));
}

/** Sizes of the message that `sizeMessage` measured last; registers, empty between calls. */
let bodySize = 0;
let idsSize = 0;

/** Measures the message that starts with response `first`; returns the response behind its last. */
function sizeMessage(params: number, first: number): number {
  const count = word(params + BATCH_PARAM_RESPONSE_COUNT);
  const responsesMax = word(params + BATCH_PARAM_MESSAGE_MAX);
  const bytesMax = word(params + BATCH_PARAM_MESSAGE_BYTES);
  const stream = word(orderedRow(params, first) + BATCH_RESPONSE_STREAM);
  bodySize = 0;
  idsSize = 0;
  let place = first;
  while (place < count && place - first < responsesMax && bodySize < bytesMax) {
    const row = orderedRow(params, place);
    if (word(row + BATCH_RESPONSE_STREAM) !== stream) break;
    const size = messageSize(params, row);
    put(row + BATCH_RESPONSE_SIZE, size);
    const response = responseSize(row, size);
    bodySize += 1 + varintSize(response, 0) + response;
    idsSize += idSize(row);
    place++;
  }
  return place;
}

/** Writes the message of responses `[first, end)` and returns the address behind it. */
function writeMessage(params: number, first: number, end: number, to: number): number {
  for (let place = first; place < end; place++) {
    to = writeResponse(params, orderedRow(params, place), to);
  }
  putByte(to, 0x12);
  to = writeVarint(to + 1, idsSize);
  for (let place = first; place < end; place++) {
    const row = orderedRow(params, place);
    const idLow = word(row + BATCH_RESPONSE_ID_LOW);
    to = writeVarint64(to, idLow, word(row + BATCH_RESPONSE_ID_HIGH));
  }
  const tailLength = word(params + BATCH_PARAM_TAIL_LENGTH);
  return copyBytes(to, word(params + BATCH_PARAM_TAIL), tailLength);
}

/**
 * Encodes responses into messages and returns how many messages are in OUT FRAMES. ENCODED says
 * how many responses they hold; below RESPONSE_COUNT: drain, then call again. 0 messages while
 * responses are left means that the next one does not fit into OUT at all (HEADER_NEEDED).
 */
export function batchCommandsEncode(memory: LinearMemory, params: number): number {
  use(memory);
  const count = word(params + BATCH_PARAM_RESPONSE_COUNT);
  const outEnd = word(params + BATCH_PARAM_OUT_END);
  const capacity = word(params + BATCH_PARAM_OUT_FRAME_CAPACITY);
  const tailLength = word(params + BATCH_PARAM_TAIL_LENGTH);
  let encoded = word(params + BATCH_PARAM_ENCODED);
  let frame = word(params + BATCH_PARAM_OUT_FRAMES);
  let to = word(params + BATCH_PARAM_OUT);
  let frames: number = 0;
  if (encoded === 0) orderByStream(params);
  while (encoded < count && frames < capacity) {
    const end = sizeMessage(params, encoded);
    const size = bodySize + (1 + varintSize(idsSize, 0) + idsSize) + tailLength;
    if (size > outEnd - to) {
      put(HEADER_ERR_ITEM, encoded);
      put(HEADER_NEEDED, size);
      break;
    }
    const stream = word(orderedRow(params, encoded) + BATCH_RESPONSE_STREAM);
    const behind = writeMessage(params, encoded, end, to);
    put(frame, stream);
    put(frame + 4, to);
    put(frame + 8, behind - to);
    put(frame + 12, end - encoded);
    frame += BATCH_OUT_BYTES;
    to = behind;
    encoded = end;
    frames++;
  }
  put(params + BATCH_PARAM_ENCODED, encoded);
  return frames;
}
