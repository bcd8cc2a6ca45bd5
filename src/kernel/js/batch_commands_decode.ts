/**
 * Twin of assembly/batch_commands_decode.ts and its specification: BatchCommandsRequest messages to
 * tables of contexts, commands and sub rows.
 */

import { utf8 } from "../../base/index.js";
import {
  BATCH_COMMAND_BODY_LENGTH,
  BATCH_COMMAND_BODY_PTR,
  BATCH_COMMAND_BYTES,
  BATCH_COMMAND_CMD,
  BATCH_COMMAND_CONTEXT,
  BATCH_COMMAND_FLAGS,
  BATCH_COMMAND_ID_LOW,
  BATCH_COMMAND_KEY_PTR,
  BATCH_COMMAND_STREAM,
  BATCH_COMMAND_SUB_COUNT,
  BATCH_COMMAND_SUB_FIRST,
  BATCH_COMMAND_TTL_LOW,
  BATCH_COMMAND_VALUE_PTR,
  BATCH_CONTEXT_API_VERSION,
  BATCH_CONTEXT_BYTES,
  BATCH_CONTEXT_CLUSTER_ID,
  BATCH_CONTEXT_CONF_VER,
  BATCH_CONTEXT_FLAGS,
  BATCH_CONTEXT_KEYSPACE_ID,
  BATCH_CONTEXT_LENGTH,
  BATCH_CONTEXT_PEER_ID,
  BATCH_CONTEXT_PTR,
  BATCH_CONTEXT_REGION_ID,
  BATCH_CONTEXT_TERM,
  BATCH_CONTEXT_UNUSUAL,
  BATCH_FLAG_FOR_CAS,
  BATCH_FLAG_IRREGULAR,
  BATCH_FLAG_KEY_ONLY,
  BATCH_FLAG_OTHER_CF,
  BATCH_FLAG_REVERSE,
  BATCH_FLAG_TTLS,
  BATCH_FRAME_BYTES,
  BATCH_FRAME_COUNT,
  BATCH_FRAME_FIRST,
  BATCH_FRAME_LENGTH,
  BATCH_FRAME_PTR,
  BATCH_FRAME_STATUS,
  BATCH_FRAME_STREAM,
  BATCH_NO_CONTEXT,
  BATCH_PARAM_COMMAND_CAPACITY,
  BATCH_PARAM_COMMAND_COUNT,
  BATCH_PARAM_COMMANDS,
  BATCH_PARAM_CONTEXT_CAPACITY,
  BATCH_PARAM_CONTEXT_COUNT,
  BATCH_PARAM_CONTEXTS,
  BATCH_PARAM_FRAME_COUNT,
  BATCH_PARAM_FRAMES,
  BATCH_PARAM_REQUESTS_MAX,
  BATCH_PARAM_SUB_CAPACITY,
  BATCH_PARAM_SUB_COUNT,
  BATCH_PARAM_SUBS,
  BATCH_STATUS_MALFORMED,
  BATCH_STATUS_MISMATCH,
  BATCH_STATUS_OK,
  BATCH_STATUS_TOO_MANY,
  BATCH_SUB_BYTES,
  CMD_EMPTY,
} from "../abi.js";
import type { LinearMemory } from "../arena.js";
import { byteAt, fill, put, use, word } from "./linear.js";
import { high, low, pos, readLength, readTag, readVarint, seek, skipField } from "./protobuf.js";

/** The tables are full; not a BATCH_STATUS, because the frame is decoded again later. */
const FULL = -1;
const U32_MAX = 0xffff_ffff;
const DEFAULT_CF = utf8("default");

/* Roles of the fields of a Raw request, 4 bits for each field number from 1 to 7. */
const ROLE_CONTEXT = 1;
const ROLE_KEY = 2;
const ROLE_VALUE = 3;
const ROLE_CF = 4;
const ROLE_TTL = 5;
const ROLE_FOR_CAS = 6;
const ROLE_KEYS = 7;
const ROLE_PAIRS = 8;
const ROLE_TTLS = 9;
const ROLE_RANGES = 10;
const ROLE_KEY_ONLY = 11;
const ROLE_REVERSE = 12;

/** Roles of RawGet (13) to RawBatchScan (21); read from the right: nibble 1 is field 1. */
function rolesOf(cmd: number): number {
  switch (cmd) {
    case 13:
      return 0x00004210;
    case 14:
      return 0x00004710;
    case 15:
      return 0x06543210;
    case 16:
      return 0x09604810;
    case 17:
      return 0x00064210;
    case 18:
      return 0x00064710;
    case 19:
      return 0x3c4b5210;
    case 20:
      return 0x00043210;
    case 21:
      return 0x0c4b5a10;
    default:
      return 0;
  }
}

/** Stores low and high of the varint read last. */
function storeVarint(to: number): void {
  put(to, low);
  put(to + 4, high);
}

function sameBytes(a: number, b: number, length: number): boolean {
  const end = a + length;
  while (a < end) {
    if (byteAt(a++) !== byteAt(b++)) return false;
  }
  return true;
}

/** Reads RegionEpoch or Peer, merging: fields 1 and 2 as u64 to `first` and `second`. */
function decodeTwo(end: number, first: number, second: number): boolean {
  while (pos < end) {
    if (!readTag(end)) return false;
    const tag = low;
    if (tag === 0x08 || tag === 0x10) {
      if (!readVarint(end)) return false;
      storeVarint(tag === 0x08 ? first : second);
    } else if (!skipField(tag, end, 0)) return false;
  }
  return true;
}

/** Fills a context row from the Context message at its pointer. */
function decodeContext(row: number, end: number): boolean {
  while (pos < end) {
    if (!readTag(end)) return false;
    const tag = low;
    const field = tag >>> 3;
    if ((tag & 7) === 0) {
      if (!readVarint(end)) return false;
      if (field === 1) storeVarint(row + BATCH_CONTEXT_REGION_ID);
      else if (field === 5) storeVarint(row + BATCH_CONTEXT_TERM);
      else if (field === 35) storeVarint(row + BATCH_CONTEXT_CLUSTER_ID);
      else if (field === 21) put(row + BATCH_CONTEXT_API_VERSION, low);
      else if (field === 32) put(row + BATCH_CONTEXT_KEYSPACE_ID, low);
      else if ((field === 12 || field === 17) && (low | high) !== 0) {
        put(row + BATCH_CONTEXT_FLAGS, BATCH_CONTEXT_UNUSUAL);
      }
    } else if (tag === 0x12 || tag === 0x1a) {
      if (!readLength(end)) return false;
      const inner = pos + low;
      const at = row + (tag === 0x12 ? BATCH_CONTEXT_CONF_VER : BATCH_CONTEXT_PEER_ID);
      if (!decodeTwo(inner, at, at + 8)) return false;
    } else {
      if (field === 38) put(row + BATCH_CONTEXT_FLAGS, BATCH_CONTEXT_UNUSUAL);
      if (!skipField(tag, end, 0)) return false;
    }
  }
  return true;
}

/** Gives the command the context at `pos`, a new row unless the row before holds the same bytes. */
function attachContext(params: number, row: number, end: number): number {
  const length = end - pos;
  const count = word(params + BATCH_PARAM_CONTEXT_COUNT);
  if (word(row + BATCH_COMMAND_CONTEXT) !== BATCH_NO_CONTEXT) {
    const flags = word(row + BATCH_COMMAND_FLAGS);
    put(row + BATCH_COMMAND_FLAGS, flags | BATCH_FLAG_IRREGULAR);
  }
  const table = word(params + BATCH_PARAM_CONTEXTS);
  if (count > 0) {
    const last = table + (count - 1) * BATCH_CONTEXT_BYTES;
    if (
      word(last + BATCH_CONTEXT_LENGTH) === length &&
      sameBytes(word(last + BATCH_CONTEXT_PTR), pos, length)
    ) {
      put(row + BATCH_COMMAND_CONTEXT, count - 1);
      seek(end);
      return BATCH_STATUS_OK;
    }
  }
  if (count === word(params + BATCH_PARAM_CONTEXT_CAPACITY)) return FULL;
  const context = table + count * BATCH_CONTEXT_BYTES;
  fill(context, 0, BATCH_CONTEXT_BYTES);
  put(context + BATCH_CONTEXT_PTR, pos);
  put(context + BATCH_CONTEXT_LENGTH, length);
  put(row + BATCH_COMMAND_CONTEXT, count);
  put(params + BATCH_PARAM_CONTEXT_COUNT, count + 1);
  return decodeContext(context, end) ? BATCH_STATUS_OK : BATCH_STATUS_MALFORMED;
}

/** Fills a sub row from a KvPair (fields 2, 3) or a KeyRange (1, 2). */
function decodePair(sub: number, end: number, keyTag: number): boolean {
  while (pos < end) {
    if (!readTag(end)) return false;
    const tag = low;
    if (tag === keyTag || tag === keyTag + 8) {
      if (!readLength(end)) return false;
      const at = tag === keyTag ? sub : sub + 8;
      put(at, pos);
      put(at + 4, low);
      seek(pos + low);
    } else if (!skipField(tag, end, 0)) return false;
  }
  return true;
}

/** Appends a sub row for the `length` bytes at `pos`: a key, a pair or a range. */
function addSub(params: number, row: number, role: number, length: number): number {
  const count = word(params + BATCH_PARAM_SUB_COUNT);
  if (count === word(params + BATCH_PARAM_SUB_CAPACITY)) return FULL;
  const sub = word(params + BATCH_PARAM_SUBS) + count * BATCH_SUB_BYTES;
  put(sub, 0);
  put(sub + 4, 0);
  put(sub + 8, 0);
  put(sub + 8 + 4, 0);
  put(params + BATCH_PARAM_SUB_COUNT, count + 1);
  put(row + BATCH_COMMAND_SUB_COUNT, word(row + BATCH_COMMAND_SUB_COUNT) + 1);
  if (role === ROLE_KEYS) {
    put(sub, pos);
    put(sub + 4, length);
    seek(pos + length);
    return BATCH_STATUS_OK;
  }
  const decoded = decodePair(sub, pos + length, role === ROLE_PAIRS ? 0x12 : 0x0a);
  return decoded ? BATCH_STATUS_OK : BATCH_STATUS_MALFORMED;
}

/** Whether the `length` bytes at `from` say "default". */
function isDefaultCf(from: number, length: number): boolean {
  if (length === 0) return true;
  if (length !== DEFAULT_CF.length) return false;
  for (let i = 0; i < length; i++) {
    if (byteAt(from + i) !== DEFAULT_CF[i]) return false;
  }
  return true;
}

/** Handles a length-delimited field of a Raw request; `pos` is at its content. */
function onBytes(params: number, row: number, role: number, length: number): number {
  if (role === ROLE_CONTEXT) return attachContext(params, row, pos + length);
  if (role === ROLE_KEYS || role === ROLE_PAIRS || role === ROLE_RANGES) {
    return addSub(params, row, role, length);
  }
  if (role === ROLE_KEY || role === ROLE_VALUE) {
    const at = row + (role === ROLE_KEY ? BATCH_COMMAND_KEY_PTR : BATCH_COMMAND_VALUE_PTR);
    put(at, pos);
    put(at + 4, length);
  } else if (role === ROLE_CF || role === ROLE_TTLS) {
    const flag: number = role === ROLE_CF ? BATCH_FLAG_OTHER_CF : BATCH_FLAG_TTLS;
    let flags = word(row + BATCH_COMMAND_FLAGS) & ~flag;
    if (role === ROLE_TTLS || !isDefaultCf(pos, length)) flags |= flag;
    put(row + BATCH_COMMAND_FLAGS, flags);
  }
  seek(pos + length);
  return BATCH_STATUS_OK;
}

/** Handles a varint field of a Raw request; its value is in low and high. */
function onVarint(row: number, role: number): void {
  if (role === ROLE_TTL) {
    storeVarint(row + BATCH_COMMAND_TTL_LOW);
    return;
  }
  let flag: number = 0;
  if (role === ROLE_FOR_CAS) flag = BATCH_FLAG_FOR_CAS;
  else if (role === ROLE_KEY_ONLY) flag = BATCH_FLAG_KEY_ONLY;
  else if (role === ROLE_REVERSE) flag = BATCH_FLAG_REVERSE;
  else if (role === ROLE_TTLS) flag = BATCH_FLAG_TTLS;
  let flags = word(row + BATCH_COMMAND_FLAGS) & ~flag;
  if ((low | high) !== 0 || role === ROLE_TTLS) flags |= flag;
  put(row + BATCH_COMMAND_FLAGS, flags);
}

/** Decodes the Raw request that ends at `end` into its row. */
function decodeRaw(params: number, row: number, cmd: number, end: number): number {
  const roles = rolesOf(cmd);
  while (pos < end) {
    if (!readTag(end)) return BATCH_STATUS_MALFORMED;
    const tag = low;
    const field = tag >>> 3;
    const role = field < 8 ? (roles >>> (field << 2)) & 15 : 0;
    const wireType = tag & 7;
    if (wireType === 2 && isBytesRole(role)) {
      if (!readLength(end)) return BATCH_STATUS_MALFORMED;
      const status = onBytes(params, row, role, low);
      if (status !== BATCH_STATUS_OK) return status;
    } else if (wireType === 0 && isVarintRole(role)) {
      if (!readVarint(end)) return BATCH_STATUS_MALFORMED;
      onVarint(row, role);
    } else if (!skipField(tag, end, 0)) return BATCH_STATUS_MALFORMED;
  }
  return BATCH_STATUS_OK;
}

function isBytesRole(role: number): boolean {
  // CONTEXT KEY VALUE CF KEYS PAIRS TTLS RANGES
  return ((0x79e >>> role) & 1) !== 0;
}

function isVarintRole(role: number): boolean {
  // TTL FOR_CAS TTLS KEY_ONLY REVERSE
  return ((0x1a60 >>> role) & 1) !== 0;
}

function isKnownCmd(field: number): boolean {
  return (field >= 1 && field <= 26) || (field >= 33 && field <= 40) || field === CMD_EMPTY;
}

/** Resets the parts of a row that a repeated cmd would leave behind; the last one wins. */
function resetCommand(row: number): void {
  put(row + BATCH_COMMAND_CONTEXT, BATCH_NO_CONTEXT);
  put(row + BATCH_COMMAND_FLAGS, 0);
  put(row + BATCH_COMMAND_KEY_PTR, 0);
  put(row + BATCH_COMMAND_KEY_PTR + 4, 0);
  put(row + BATCH_COMMAND_VALUE_PTR, 0);
  put(row + BATCH_COMMAND_VALUE_PTR + 4, 0);
  put(row + BATCH_COMMAND_TTL_LOW, 0);
  put(row + BATCH_COMMAND_TTL_LOW + 4, 0);
  put(row + BATCH_COMMAND_SUB_COUNT, 0);
}

/** Decodes one BatchCommandsRequest.Request that ends at `end` into its row. */
function decodeRequest(params: number, row: number, end: number): number {
  put(row + BATCH_COMMAND_CMD, 0);
  put(row + BATCH_COMMAND_BODY_PTR, 0);
  put(row + BATCH_COMMAND_BODY_PTR + 4, 0);
  resetCommand(row);
  while (pos < end) {
    if (!readTag(end)) return BATCH_STATUS_MALFORMED;
    const tag = low;
    const cmd = tag >>> 3;
    if ((tag & 7) === 2 && isKnownCmd(cmd)) {
      if (!readLength(end)) return BATCH_STATUS_MALFORMED;
      put(row + BATCH_COMMAND_CMD, cmd);
      put(row + BATCH_COMMAND_BODY_PTR, pos);
      put(row + BATCH_COMMAND_BODY_LENGTH, low);
      const bodyEnd = pos + low;
      if (rolesOf(cmd) !== 0) {
        resetCommand(row);
        put(row + BATCH_COMMAND_SUB_FIRST, word(params + BATCH_PARAM_SUB_COUNT));
        const status = decodeRaw(params, row, cmd, bodyEnd);
        if (status !== BATCH_STATUS_OK) return status;
      } else seek(bodyEnd);
    } else if (!skipField(tag, end, 0)) return BATCH_STATUS_MALFORMED;
  }
  return BATCH_STATUS_OK;
}

/** Gives the ids of a message, packed or not, to rows `first`.. in order; returns how many ids. */
function assignIds(ptr: number, end: number, firstRow: number, count: number): number {
  let ids: number = 0;
  seek(ptr);
  while (pos < end) {
    if (!readTag(end)) return U32_MAX;
    const tag = low;
    if (tag === 0x12 || tag === 0x10) {
      let idsEnd = end;
      if (tag === 0x12) {
        if (!readLength(end)) return U32_MAX;
        idsEnd = pos + low;
      }
      while (pos < idsEnd) {
        if (!readVarint(idsEnd)) return U32_MAX;
        if (ids < count) {
          storeVarint(firstRow + ids * BATCH_COMMAND_BYTES + BATCH_COMMAND_ID_LOW);
        }
        ids++;
        if (tag === 0x10) break;
      }
    } else if (!skipField(tag, end, 0)) return U32_MAX;
  }
  return ids;
}

/** Decodes the requests of a frame to rows from `first` on; their number goes to the frame. */
function decodeRequests(params: number, frame: number, first: number): number {
  const ptr = word(frame + BATCH_FRAME_PTR);
  const end = ptr + word(frame + BATCH_FRAME_LENGTH);
  const capacity = word(params + BATCH_PARAM_COMMAND_CAPACITY);
  const requestsMax = word(params + BATCH_PARAM_REQUESTS_MAX);
  const stream = word(frame + BATCH_FRAME_STREAM);
  const commands = word(params + BATCH_PARAM_COMMANDS);
  let count: number = 0;
  let ids: number = 0;
  seek(ptr);
  while (pos < end) {
    const start = pos;
    if (!readTag(end)) return BATCH_STATUS_MALFORMED;
    const tag = low;
    if (tag === 0x0a) {
      if (!readLength(end)) return BATCH_STATUS_MALFORMED;
      if (count === requestsMax) return BATCH_STATUS_TOO_MANY;
      if (first + count === capacity) return FULL;
      const row = commands + (first + count) * BATCH_COMMAND_BYTES;
      put(row + BATCH_COMMAND_STREAM, stream);
      const status = decodeRequest(params, row, pos + low);
      if (status !== BATCH_STATUS_OK) return status;
      count++;
    } else {
      // Ids behind all requests, as encoders write them, are read from there on.
      if (ids === 0 && (tag === 0x12 || tag === 0x10)) ids = start;
      if (!skipField(tag, end, 0)) return BATCH_STATUS_MALFORMED;
    }
  }
  const firstRow = commands + first * BATCH_COMMAND_BYTES;
  const found = ids === 0 ? 0 : assignIds(ids, end, firstRow, count);
  if (found === U32_MAX) return BATCH_STATUS_MALFORMED;
  if (found !== count) return BATCH_STATUS_MISMATCH;
  put(frame + BATCH_FRAME_COUNT, count);
  return BATCH_STATUS_OK;
}

/**
 * Decodes frames into the tables and returns how many are done; fewer than asked when a table is
 * full. A refused frame is done too: its status says why, and none of its commands is left.
 */
export function batchCommandsDecode(memory: LinearMemory, params: number): number {
  use(memory);
  const frameCount = word(params + BATCH_PARAM_FRAME_COUNT);
  let frame = word(params + BATCH_PARAM_FRAMES);
  let commands: number = 0;
  put(params + BATCH_PARAM_CONTEXT_COUNT, 0);
  put(params + BATCH_PARAM_COMMAND_COUNT, 0);
  put(params + BATCH_PARAM_SUB_COUNT, 0);
  for (let i = 0; i < frameCount; i++) {
    const contexts = word(params + BATCH_PARAM_CONTEXT_COUNT);
    const subs = word(params + BATCH_PARAM_SUB_COUNT);
    put(frame + BATCH_FRAME_FIRST, commands);
    put(frame + BATCH_FRAME_COUNT, 0);
    const status = decodeRequests(params, frame, commands);
    if (status !== BATCH_STATUS_OK) {
      put(params + BATCH_PARAM_CONTEXT_COUNT, contexts);
      put(params + BATCH_PARAM_SUB_COUNT, subs);
      if (status === FULL) return i;
    }
    put(frame + BATCH_FRAME_STATUS, status);
    commands += word(frame + BATCH_FRAME_COUNT);
    put(params + BATCH_PARAM_COMMAND_COUNT, commands);
    frame += BATCH_FRAME_BYTES;
  }
  return frameCount;
}
