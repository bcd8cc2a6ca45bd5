/**
 * Response rows to BatchCommandsResponse messages: grouped by stream, at most MESSAGE_MAX responses
 * a message, written in place; the host copies each message out once.
 *
 *   message    (0x0a len Response)* · 0x12 len ids · tail
 *   Response   tag of the cmd · len · message of the command
 */
import { SLICE_ABSENT, SLICE_BYTES } from "./abi";
import { setNeeded } from "./arena";
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
  BATCH_PARAM_OUT_FRAMES,
  BATCH_PARAM_OUT_FRAME_CAPACITY,
  BATCH_PARAM_PREFIX_LENGTH,
  BATCH_PARAM_RESPONSES,
  BATCH_PARAM_RESPONSE_COUNT,
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
} from "./batch_commands_abi";
import { copyBytes } from "./bytes";
import { varintSize, writeVarint, writeVarint64 } from "./protobuf";

/** Sorts the rows by stream, stable, by counting; leaves row indices in ORDER. */
function orderByStream(params: usize): void {
  const count = load<u32>(params, BATCH_PARAM_RESPONSE_COUNT);
  const streams = load<u32>(params, BATCH_PARAM_STREAM_COUNT);
  const rows = <usize>load<u32>(params, BATCH_PARAM_RESPONSES);
  const order = <usize>load<u32>(params, BATCH_PARAM_ORDER);
  const starts = order + ((<usize>count) << 2);
  memory.fill(starts, 0, (<usize>streams + 1) << 2);
  let row = rows;
  for (let i: u32 = 0; i < count; i++, row += BATCH_RESPONSE_BYTES) {
    const at = starts + (<usize>(load<u32>(row, BATCH_RESPONSE_STREAM) + 1) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  for (let s: usize = 1; s <= <usize>streams; s++) {
    const at = starts + (s << 2);
    store<u32>(at, load<u32>(at) + load<u32>(at - 4));
  }
  row = rows;
  for (let i: u32 = 0; i < count; i++, row += BATCH_RESPONSE_BYTES) {
    const at = starts + (<usize>load<u32>(row, BATCH_RESPONSE_STREAM) << 2);
    const place = load<u32>(at);
    store<u32>(order + ((<usize>place) << 2), i);
    store<u32>(at, place + 1);
  }
}

// @ts-ignore: decorator
@inline
/** Size of a bytes field with a one-byte tag: absent when empty, as proto3 encodes. */
function bytesFieldSize(length: u32): u32 {
  return length == 0 ? 0 : 1 + varintSize(length, 0) + length;
}

// @ts-ignore: decorator
@inline
function valueRow(params: usize, get: u32): usize {
  return <usize>load<u32>(params, BATCH_PARAM_VALUE_TABLE) + <usize>get * SLICE_BYTES;
}

// @ts-ignore: decorator
@inline
function keyRow(params: usize, get: u32): usize {
  return <usize>load<u32>(params, BATCH_PARAM_KEY_TABLE) + <usize>get * SLICE_BYTES;
}

/** Size of the KvPair of a get. */
function pairSize(params: usize, get: u32): u32 {
  const key = load<u32>(keyRow(params, get), 4) - load<u32>(params, BATCH_PARAM_PREFIX_LENGTH);
  return bytesFieldSize(key) + bytesFieldSize(load<u32>(valueRow(params, get), 4));
}

/** Size of the command's message. */
function messageSize(params: usize, row: usize): u32 {
  const kind = load<u32>(row, BATCH_RESPONSE_KIND);
  const length = load<u32>(row, BATCH_RESPONSE_LENGTH);
  if (kind == BATCH_KIND_VALUE) return bytesFieldSize(length);
  if (kind == BATCH_KIND_NOT_FOUND) return 2;
  if (kind == BATCH_KIND_NONE) return 0;
  if (kind != BATCH_KIND_PAIRS) return length;
  const first = load<u32>(row, BATCH_RESPONSE_PTR);
  let size: u32 = 0;
  for (let get = first; get < first + length; get++) {
    if (load<u32>(valueRow(params, get), 4) == SLICE_ABSENT) continue;
    const pair = pairSize(params, get);
    size += 1 + varintSize(pair, 0) + pair;
  }
  return size;
}

/** Size of the Response around a message of `size` bytes. */
function responseSize(row: usize, size: u32): u32 {
  if (load<u32>(row, BATCH_RESPONSE_KIND) == BATCH_KIND_NONE) return 0;
  const tag = (load<u32>(row, BATCH_RESPONSE_CMD) << 3) | 2;
  return varintSize(tag, 0) + varintSize(size, 0) + size;
}

// @ts-ignore: decorator
@inline
function writeBytesField(to: usize, tag: u8, ptr: usize, length: u32): usize {
  if (length == 0) return to;
  store<u8>(to, tag);
  return copyBytes(writeVarint(to + 1, length), ptr, <usize>length);
}

/** Writes the pairs of a RawBatchGetResponse; keys without their prefix. */
function writePairs(params: usize, to: usize, first: u32, count: u32): usize {
  const prefixLength = load<u32>(params, BATCH_PARAM_PREFIX_LENGTH);
  for (let get = first; get < first + count; get++) {
    const value = valueRow(params, get);
    if (load<u32>(value, 4) == SLICE_ABSENT) continue;
    const key = keyRow(params, get);
    store<u8>(to, 0x12);
    to = writeVarint(to + 1, pairSize(params, get));
    const keyPtr = <usize>(load<u32>(key) + prefixLength);
    to = writeBytesField(to, 0x12, keyPtr, load<u32>(key, 4) - prefixLength);
    to = writeBytesField(to, 0x1a, <usize>load<u32>(value), load<u32>(value, 4));
  }
  return to;
}

/** Writes one element of the responses field. */
function writeResponse(params: usize, row: usize, to: usize): usize {
  const kind = load<u32>(row, BATCH_RESPONSE_KIND);
  const size = load<u32>(row, BATCH_RESPONSE_SIZE);
  const ptr = load<u32>(row, BATCH_RESPONSE_PTR);
  const length = load<u32>(row, BATCH_RESPONSE_LENGTH);
  store<u8>(to, 0x0a);
  to = writeVarint(to + 1, responseSize(row, size));
  if (kind == BATCH_KIND_NONE) return to;
  to = writeVarint(to, (load<u32>(row, BATCH_RESPONSE_CMD) << 3) | 2);
  to = writeVarint(to, size);
  if (kind == BATCH_KIND_VALUE) return writeBytesField(to, 0x1a, <usize>ptr, length);
  if (kind == BATCH_KIND_NOT_FOUND) {
    store<u16>(to, 0x0120);
    return to + 2;
  }
  if (kind == BATCH_KIND_PAIRS) return writePairs(params, to, ptr, length);
  return copyBytes(to, <usize>ptr, <usize>length);
}

// @ts-ignore: decorator
@inline
function orderedRow(params: usize, place: u32): usize {
  const order = <usize>load<u32>(params, BATCH_PARAM_ORDER);
  const index = load<u32>(order + ((<usize>place) << 2));
  return <usize>load<u32>(params, BATCH_PARAM_RESPONSES) + <usize>index * BATCH_RESPONSE_BYTES;
}

// @ts-ignore: decorator
@inline
function idSize(row: usize): u32 {
  return varintSize(
    load<u32>(row, BATCH_RESPONSE_ID_LOW),
    load<u32>(row, BATCH_RESPONSE_ID_HIGH),
  );
}

/** Sizes of the message that `sizeMessage` measured last; registers, empty between calls. */
let bodySize: u64 = 0;
let idsSize: u32 = 0;

/** Measures the message that starts with response `first`; returns the response behind its last. */
function sizeMessage(params: usize, first: u32): u32 {
  const count = load<u32>(params, BATCH_PARAM_RESPONSE_COUNT);
  const responsesMax = load<u32>(params, BATCH_PARAM_MESSAGE_MAX);
  const bytesMax = <u64>load<u32>(params, BATCH_PARAM_MESSAGE_BYTES);
  const stream = load<u32>(orderedRow(params, first), BATCH_RESPONSE_STREAM);
  bodySize = 0;
  idsSize = 0;
  let place = first;
  while (place < count && place - first < responsesMax && bodySize < bytesMax) {
    const row = orderedRow(params, place);
    if (load<u32>(row, BATCH_RESPONSE_STREAM) != stream) break;
    const size = messageSize(params, row);
    store<u32>(row, size, BATCH_RESPONSE_SIZE);
    const response = responseSize(row, size);
    bodySize += <u64>(1 + varintSize(response, 0)) + <u64>response;
    idsSize += idSize(row);
    place++;
  }
  return place;
}

/** Writes the message of responses `[first, end)` and returns the address behind it. */
function writeMessage(params: usize, first: u32, end: u32, to: usize): usize {
  for (let place = first; place < end; place++) {
    to = writeResponse(params, orderedRow(params, place), to);
  }
  store<u8>(to, 0x12);
  to = writeVarint(to + 1, idsSize);
  for (let place = first; place < end; place++) {
    const row = orderedRow(params, place);
    const idLow = load<u32>(row, BATCH_RESPONSE_ID_LOW);
    to = writeVarint64(to, idLow, load<u32>(row, BATCH_RESPONSE_ID_HIGH));
  }
  const tailLength = <usize>load<u32>(params, BATCH_PARAM_TAIL_LENGTH);
  return copyBytes(to, <usize>load<u32>(params, BATCH_PARAM_TAIL), tailLength);
}

/**
 * Encodes responses into messages and returns how many messages are in OUT FRAMES. ENCODED says
 * how many responses they hold; below RESPONSE_COUNT: drain, then call again. 0 messages while
 * responses are left means that the next one does not fit into OUT at all (HEADER_NEEDED).
 */
export function batchCommandsEncode(params: usize): i32 {
  const count = load<u32>(params, BATCH_PARAM_RESPONSE_COUNT);
  const outEnd = <usize>load<u32>(params, BATCH_PARAM_OUT_END);
  const capacity = load<u32>(params, BATCH_PARAM_OUT_FRAME_CAPACITY);
  const tailLength = <u64>load<u32>(params, BATCH_PARAM_TAIL_LENGTH);
  let encoded = load<u32>(params, BATCH_PARAM_ENCODED);
  let frame = <usize>load<u32>(params, BATCH_PARAM_OUT_FRAMES);
  let to = <usize>load<u32>(params, BATCH_PARAM_OUT);
  let frames: u32 = 0;
  if (encoded == 0) orderByStream(params);
  while (encoded < count && frames < capacity) {
    const end = sizeMessage(params, encoded);
    const size = bodySize + <u64>(1 + varintSize(idsSize, 0) + idsSize) + tailLength;
    if (size > <u64>(outEnd - to)) {
      setNeeded(<i32>encoded, size > U32.MAX_VALUE ? <usize>U32.MAX_VALUE : <usize>size);
      break;
    }
    const stream = load<u32>(orderedRow(params, encoded), BATCH_RESPONSE_STREAM);
    const behind = writeMessage(params, encoded, end, to);
    store<u32>(frame, stream);
    store<u32>(frame, <u32>to, 4);
    store<u32>(frame, <u32>(behind - to), 8);
    store<u32>(frame, end - encoded, 12);
    frame += BATCH_OUT_BYTES;
    to = behind;
    encoded = end;
    frames++;
  }
  store<u32>(params, encoded, BATCH_PARAM_ENCODED);
  return <i32>frames;
}
