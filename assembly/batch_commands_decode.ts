/**
 * BatchCommandsRequest messages to tables: frames in, contexts, commands and sub rows out.
 * Every length is checked against its container before anything is read behind it.
 * Not here: what a command means; commands other than Raw ones are handed on by offset.
 */
import {
  BATCH_COMMAND_BODY_LENGTH,
  BATCH_COMMAND_BODY_PTR,
  BATCH_COMMAND_BYTES,
  BATCH_COMMAND_CMD,
  BATCH_COMMAND_CONTEXT,
  BATCH_COMMAND_FLAGS,
  BATCH_COMMAND_ID_HIGH,
  BATCH_COMMAND_ID_LOW,
  BATCH_COMMAND_KEY_LENGTH,
  BATCH_COMMAND_KEY_PTR,
  BATCH_COMMAND_STREAM,
  BATCH_COMMAND_SUB_COUNT,
  BATCH_COMMAND_SUB_FIRST,
  BATCH_COMMAND_TTL_HIGH,
  BATCH_COMMAND_TTL_LOW,
  BATCH_COMMAND_VALUE_LENGTH,
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
  BATCH_CONTEXT_STORE_ID,
  BATCH_CONTEXT_TERM,
  BATCH_CONTEXT_UNUSUAL,
  BATCH_CONTEXT_VERSION,
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
  BATCH_PARAM_COMMANDS,
  BATCH_PARAM_COMMAND_CAPACITY,
  BATCH_PARAM_COMMAND_COUNT,
  BATCH_PARAM_CONTEXTS,
  BATCH_PARAM_CONTEXT_CAPACITY,
  BATCH_PARAM_CONTEXT_COUNT,
  BATCH_PARAM_FRAMES,
  BATCH_PARAM_FRAME_COUNT,
  BATCH_PARAM_REQUESTS_MAX,
  BATCH_PARAM_SUBS,
  BATCH_PARAM_SUB_CAPACITY,
  BATCH_PARAM_SUB_COUNT,
  BATCH_STATUS_MALFORMED,
  BATCH_STATUS_MISMATCH,
  BATCH_STATUS_OK,
  BATCH_STATUS_TOO_MANY,
  BATCH_SUB_BYTES,
  CMD_EMPTY,
} from "./batch_commands_abi";
import { high, low, pos, readLength, readTag, readVarint, seek, skipField } from "./protobuf";

/** The tables are full; not a BATCH_STATUS, because the frame is decoded again later. */
const FULL: i32 = -1;

/* Roles of the fields of a Raw request, 4 bits for each field number from 1 to 7. */
const ROLE_CONTEXT: u32 = 1;
const ROLE_KEY: u32 = 2;
const ROLE_VALUE: u32 = 3;
const ROLE_CF: u32 = 4;
const ROLE_TTL: u32 = 5;
const ROLE_FOR_CAS: u32 = 6;
const ROLE_KEYS: u32 = 7;
const ROLE_PAIRS: u32 = 8;
const ROLE_TTLS: u32 = 9;
const ROLE_RANGES: u32 = 10;
const ROLE_KEY_ONLY: u32 = 11;
const ROLE_REVERSE: u32 = 12;

/** Roles of RawGet (13) to RawBatchScan (21); read from the right: nibble 1 is field 1. */
function rolesOf(cmd: u32): u32 {
  switch (cmd) {
    case 13: return 0x00004210;
    case 14: return 0x00004710;
    case 15: return 0x06543210;
    case 16: return 0x09604810;
    case 17: return 0x00064210;
    case 18: return 0x00064710;
    case 19: return 0x3c4b5210;
    case 20: return 0x00043210;
    case 21: return 0x0c4b5a10;
    default: return 0;
  }
}

// @ts-ignore: decorator
@inline
/** Stores low and high of the varint read last. */
function storeVarint(to: usize): void {
  store<u32>(to, low);
  store<u32>(to, high, 4);
}

// @ts-ignore: decorator
@inline
function sameBytes(a: usize, b: usize, length: usize): bool {
  const end = a + length;
  while (a + 8 <= end) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
  }
  while (a < end) {
    if (load<u8>(a++) != load<u8>(b++)) return false;
  }
  return true;
}

/** Reads RegionEpoch or Peer, merging: fields 1 and 2 as u64 to `first` and `second`. */
function decodeTwo(end: usize, first: usize, second: usize): bool {
  while (pos < end) {
    if (!readTag(end)) return false;
    const tag = low;
    if (tag == 0x08 || tag == 0x10) {
      if (!readVarint(end)) return false;
      storeVarint(tag == 0x08 ? first : second);
    } else if (!skipField(tag, end, 0)) return false;
  }
  return true;
}

/** Fills a context row from the Context message at its pointer. */
function decodeContext(row: usize, end: usize): bool {
  while (pos < end) {
    if (!readTag(end)) return false;
    const tag = low;
    const field = tag >>> 3;
    if ((tag & 7) == 0) {
      if (!readVarint(end)) return false;
      if (field == 1) storeVarint(row + BATCH_CONTEXT_REGION_ID);
      else if (field == 5) storeVarint(row + BATCH_CONTEXT_TERM);
      else if (field == 35) storeVarint(row + BATCH_CONTEXT_CLUSTER_ID);
      else if (field == 21) store<u32>(row + BATCH_CONTEXT_API_VERSION, low);
      else if (field == 32) store<u32>(row + BATCH_CONTEXT_KEYSPACE_ID, low);
      else if ((field == 12 || field == 17) && (low | high) != 0) {
        store<u32>(row + BATCH_CONTEXT_FLAGS, BATCH_CONTEXT_UNUSUAL);
      }
    } else if (tag == 0x12 || tag == 0x1a) {
      if (!readLength(end)) return false;
      const inner = pos + <usize>low;
      const at = row + (tag == 0x12 ? BATCH_CONTEXT_CONF_VER : BATCH_CONTEXT_PEER_ID);
      if (!decodeTwo(inner, at, at + 8)) return false;
    } else {
      if (field == 38) store<u32>(row + BATCH_CONTEXT_FLAGS, BATCH_CONTEXT_UNUSUAL);
      if (!skipField(tag, end, 0)) return false;
    }
  }
  return true;
}

/** Gives the command the context at `pos`, a new row unless the row before holds the same bytes. */
function attachContext(params: usize, row: usize, end: usize): i32 {
  const length = end - pos;
  const count = load<u32>(params, BATCH_PARAM_CONTEXT_COUNT);
  if (load<u32>(row, BATCH_COMMAND_CONTEXT) != BATCH_NO_CONTEXT) {
    const flags = load<u32>(row, BATCH_COMMAND_FLAGS);
    store<u32>(row, flags | BATCH_FLAG_IRREGULAR, BATCH_COMMAND_FLAGS);
  }
  const table = <usize>load<u32>(params, BATCH_PARAM_CONTEXTS);
  if (count > 0) {
    const last = table + <usize>(count - 1) * BATCH_CONTEXT_BYTES;
    if (
      <usize>load<u32>(last, BATCH_CONTEXT_LENGTH) == length &&
      sameBytes(<usize>load<u32>(last, BATCH_CONTEXT_PTR), pos, length)
    ) {
      store<u32>(row, count - 1, BATCH_COMMAND_CONTEXT);
      seek(end);
      return BATCH_STATUS_OK;
    }
  }
  if (count == load<u32>(params, BATCH_PARAM_CONTEXT_CAPACITY)) return FULL;
  const context = table + <usize>count * BATCH_CONTEXT_BYTES;
  memory.fill(context, 0, BATCH_CONTEXT_BYTES);
  store<u32>(context, <u32>pos, BATCH_CONTEXT_PTR);
  store<u32>(context, <u32>length, BATCH_CONTEXT_LENGTH);
  store<u32>(row, count, BATCH_COMMAND_CONTEXT);
  store<u32>(params, count + 1, BATCH_PARAM_CONTEXT_COUNT);
  return decodeContext(context, end) ? BATCH_STATUS_OK : BATCH_STATUS_MALFORMED;
}

/** Fills a sub row from a KvPair (fields 2, 3) or a KeyRange (1, 2). */
function decodePair(sub: usize, end: usize, keyTag: u32): bool {
  while (pos < end) {
    if (!readTag(end)) return false;
    const tag = low;
    if (tag == keyTag || tag == keyTag + 8) {
      if (!readLength(end)) return false;
      const at = tag == keyTag ? sub : sub + 8;
      store<u32>(at, <u32>pos);
      store<u32>(at, low, 4);
      seek(pos + <usize>low);
    } else if (!skipField(tag, end, 0)) return false;
  }
  return true;
}

/** Appends a sub row for the `length` bytes at `pos`: a key, a pair or a range. */
function addSub(params: usize, row: usize, role: u32, length: usize): i32 {
  const count = load<u32>(params, BATCH_PARAM_SUB_COUNT);
  if (count == load<u32>(params, BATCH_PARAM_SUB_CAPACITY)) return FULL;
  const sub = <usize>load<u32>(params, BATCH_PARAM_SUBS) + <usize>count * BATCH_SUB_BYTES;
  store<u64>(sub, 0);
  store<u64>(sub, 0, 8);
  store<u32>(params, count + 1, BATCH_PARAM_SUB_COUNT);
  store<u32>(row, load<u32>(row, BATCH_COMMAND_SUB_COUNT) + 1, BATCH_COMMAND_SUB_COUNT);
  if (role == ROLE_KEYS) {
    store<u32>(sub, <u32>pos);
    store<u32>(sub, <u32>length, 4);
    seek(pos + length);
    return BATCH_STATUS_OK;
  }
  const decoded = decodePair(sub, pos + length, role == ROLE_PAIRS ? 0x12 : 0x0a);
  return decoded ? BATCH_STATUS_OK : BATCH_STATUS_MALFORMED;
}

/** Whether the `length` bytes at `from` say "default". */
function isDefaultCf(from: usize, length: usize): bool {
  if (length == 0) return true;
  // "default" as two overlapping little-endian words: "defa", "ault"
  return length == 7 && load<u32>(from) == 0x61666564 && load<u32>(from, 3) == 0x746c7561;
}

/** Handles a length-delimited field of a Raw request; `pos` is at its content. */
function onBytes(params: usize, row: usize, role: u32, length: usize): i32 {
  if (role == ROLE_CONTEXT) return attachContext(params, row, pos + length);
  if (role == ROLE_KEYS || role == ROLE_PAIRS || role == ROLE_RANGES) {
    return addSub(params, row, role, length);
  }
  if (role == ROLE_KEY || role == ROLE_VALUE) {
    const at = row + (role == ROLE_KEY ? BATCH_COMMAND_KEY_PTR : BATCH_COMMAND_VALUE_PTR);
    store<u32>(at, <u32>pos);
    store<u32>(at, <u32>length, 4);
  } else if (role == ROLE_CF || role == ROLE_TTLS) {
    const flag: u32 = role == ROLE_CF ? BATCH_FLAG_OTHER_CF : BATCH_FLAG_TTLS;
    let flags = load<u32>(row, BATCH_COMMAND_FLAGS) & ~flag;
    if (role == ROLE_TTLS || !isDefaultCf(pos, length)) flags |= flag;
    store<u32>(row, flags, BATCH_COMMAND_FLAGS);
  }
  seek(pos + length);
  return BATCH_STATUS_OK;
}

/** Handles a varint field of a Raw request; its value is in low and high. */
function onVarint(row: usize, role: u32): void {
  if (role == ROLE_TTL) {
    storeVarint(row + BATCH_COMMAND_TTL_LOW);
    return;
  }
  let flag: u32 = 0;
  if (role == ROLE_FOR_CAS) flag = BATCH_FLAG_FOR_CAS;
  else if (role == ROLE_KEY_ONLY) flag = BATCH_FLAG_KEY_ONLY;
  else if (role == ROLE_REVERSE) flag = BATCH_FLAG_REVERSE;
  else if (role == ROLE_TTLS) flag = BATCH_FLAG_TTLS;
  let flags = load<u32>(row, BATCH_COMMAND_FLAGS) & ~flag;
  if ((low | high) != 0 || role == ROLE_TTLS) flags |= flag;
  store<u32>(row, flags, BATCH_COMMAND_FLAGS);
}

/** Decodes the Raw request that ends at `end` into its row. */
function decodeRaw(params: usize, row: usize, cmd: u32, end: usize): i32 {
  const roles = rolesOf(cmd);
  while (pos < end) {
    if (!readTag(end)) return BATCH_STATUS_MALFORMED;
    const tag = low;
    const field = tag >>> 3;
    const role = field < 8 ? (roles >>> (field << 2)) & 15 : 0;
    const wireType = tag & 7;
    if (wireType == 2 && isBytesRole(role)) {
      if (!readLength(end)) return BATCH_STATUS_MALFORMED;
      const status = onBytes(params, row, role, <usize>low);
      if (status != BATCH_STATUS_OK) return status;
    } else if (wireType == 0 && isVarintRole(role)) {
      if (!readVarint(end)) return BATCH_STATUS_MALFORMED;
      onVarint(row, role);
    } else if (!skipField(tag, end, 0)) return BATCH_STATUS_MALFORMED;
  }
  return BATCH_STATUS_OK;
}

// @ts-ignore: decorator
@inline
function isBytesRole(role: u32): bool {
  // CONTEXT KEY VALUE CF KEYS PAIRS TTLS RANGES
  return ((0x79e >>> role) & 1) != 0;
}

// @ts-ignore: decorator
@inline
function isVarintRole(role: u32): bool {
  // TTL FOR_CAS TTLS KEY_ONLY REVERSE
  return ((0x1a60 >>> role) & 1) != 0;
}

// @ts-ignore: decorator
@inline
function isKnownCmd(field: u32): bool {
  return (field >= 1 && field <= 26) || (field >= 33 && field <= 40) || field == CMD_EMPTY;
}

/** Resets the parts of a row that a repeated cmd would leave behind; the last one wins. */
function resetCommand(row: usize): void {
  store<u32>(row, BATCH_NO_CONTEXT, BATCH_COMMAND_CONTEXT);
  store<u32>(row, 0, BATCH_COMMAND_FLAGS);
  store<u64>(row, 0, BATCH_COMMAND_KEY_PTR);
  store<u64>(row, 0, BATCH_COMMAND_VALUE_PTR);
  store<u64>(row, 0, BATCH_COMMAND_TTL_LOW);
  store<u32>(row, 0, BATCH_COMMAND_SUB_COUNT);
}

/** Decodes one BatchCommandsRequest.Request that ends at `end` into its row. */
function decodeRequest(params: usize, row: usize, end: usize): i32 {
  store<u32>(row, 0, BATCH_COMMAND_CMD);
  store<u64>(row, 0, BATCH_COMMAND_BODY_PTR);
  resetCommand(row);
  while (pos < end) {
    if (!readTag(end)) return BATCH_STATUS_MALFORMED;
    const tag = low;
    const cmd = tag >>> 3;
    if ((tag & 7) == 2 && isKnownCmd(cmd)) {
      if (!readLength(end)) return BATCH_STATUS_MALFORMED;
      store<u32>(row, cmd, BATCH_COMMAND_CMD);
      store<u32>(row, <u32>pos, BATCH_COMMAND_BODY_PTR);
      store<u32>(row, low, BATCH_COMMAND_BODY_LENGTH);
      const bodyEnd = pos + <usize>low;
      if (rolesOf(cmd) != 0) {
        resetCommand(row);
        store<u32>(row, load<u32>(params, BATCH_PARAM_SUB_COUNT), BATCH_COMMAND_SUB_FIRST);
        const status = decodeRaw(params, row, cmd, bodyEnd);
        if (status != BATCH_STATUS_OK) return status;
      } else seek(bodyEnd);
    } else if (!skipField(tag, end, 0)) return BATCH_STATUS_MALFORMED;
  }
  return BATCH_STATUS_OK;
}

/** Gives the ids of a message, packed or not, to rows `first`.. in order; returns how many ids. */
function assignIds(ptr: usize, end: usize, firstRow: usize, count: u32): u32 {
  let ids: u32 = 0;
  seek(ptr);
  while (pos < end) {
    if (!readTag(end)) return U32.MAX_VALUE;
    const tag = low;
    if (tag == 0x12 || tag == 0x10) {
      let idsEnd = end;
      if (tag == 0x12) {
        if (!readLength(end)) return U32.MAX_VALUE;
        idsEnd = pos + <usize>low;
      }
      while (pos < idsEnd) {
        if (!readVarint(idsEnd)) return U32.MAX_VALUE;
        if (ids < count) {
          storeVarint(firstRow + <usize>ids * BATCH_COMMAND_BYTES + BATCH_COMMAND_ID_LOW);
        }
        ids++;
        if (tag == 0x10) break;
      }
    } else if (!skipField(tag, end, 0)) return U32.MAX_VALUE;
  }
  return ids;
}

/** Decodes the requests of a frame to rows from `first` on; their number goes to the frame. */
function decodeRequests(params: usize, frame: usize, first: u32): i32 {
  const ptr = <usize>load<u32>(frame, BATCH_FRAME_PTR);
  const end = ptr + <usize>load<u32>(frame, BATCH_FRAME_LENGTH);
  const capacity = load<u32>(params, BATCH_PARAM_COMMAND_CAPACITY);
  const requestsMax = load<u32>(params, BATCH_PARAM_REQUESTS_MAX);
  const stream = load<u32>(frame, BATCH_FRAME_STREAM);
  const commands = <usize>load<u32>(params, BATCH_PARAM_COMMANDS);
  let count: u32 = 0;
  let ids: usize = 0;
  seek(ptr);
  while (pos < end) {
    const start = pos;
    if (!readTag(end)) return BATCH_STATUS_MALFORMED;
    const tag = low;
    if (tag == 0x0a) {
      if (!readLength(end)) return BATCH_STATUS_MALFORMED;
      if (count == requestsMax) return BATCH_STATUS_TOO_MANY;
      if (first + count == capacity) return FULL;
      const row = commands + <usize>(first + count) * BATCH_COMMAND_BYTES;
      store<u32>(row, stream, BATCH_COMMAND_STREAM);
      const status = decodeRequest(params, row, pos + <usize>low);
      if (status != BATCH_STATUS_OK) return status;
      count++;
    } else {
      // Ids behind all requests, as encoders write them, are read from there on.
      if (ids == 0 && (tag == 0x12 || tag == 0x10)) ids = start;
      if (!skipField(tag, end, 0)) return BATCH_STATUS_MALFORMED;
    }
  }
  const firstRow = commands + <usize>first * BATCH_COMMAND_BYTES;
  const found = ids == 0 ? 0 : assignIds(ids, end, firstRow, count);
  if (found == U32.MAX_VALUE) return BATCH_STATUS_MALFORMED;
  if (found != count) return BATCH_STATUS_MISMATCH;
  store<u32>(frame, count, BATCH_FRAME_COUNT);
  return BATCH_STATUS_OK;
}

/**
 * Decodes frames into the tables and returns how many are done; fewer than asked when a table is
 * full. A refused frame is done too: its status says why, and none of its commands is left.
 */
export function batchCommandsDecode(params: usize): i32 {
  const frameCount = <i32>load<u32>(params, BATCH_PARAM_FRAME_COUNT);
  let frame = <usize>load<u32>(params, BATCH_PARAM_FRAMES);
  let commands: u32 = 0;
  store<u32>(params, 0, BATCH_PARAM_CONTEXT_COUNT);
  store<u32>(params, 0, BATCH_PARAM_COMMAND_COUNT);
  store<u32>(params, 0, BATCH_PARAM_SUB_COUNT);
  for (let i = 0; i < frameCount; i++) {
    const contexts = load<u32>(params, BATCH_PARAM_CONTEXT_COUNT);
    const subs = load<u32>(params, BATCH_PARAM_SUB_COUNT);
    store<u32>(frame, commands, BATCH_FRAME_FIRST);
    store<u32>(frame, 0, BATCH_FRAME_COUNT);
    const status = decodeRequests(params, frame, commands);
    if (status != BATCH_STATUS_OK) {
      store<u32>(params, contexts, BATCH_PARAM_CONTEXT_COUNT);
      store<u32>(params, subs, BATCH_PARAM_SUB_COUNT);
      if (status == FULL) return i;
    }
    store<u32>(frame, status, BATCH_FRAME_STATUS);
    commands += load<u32>(frame, BATCH_FRAME_COUNT);
    store<u32>(params, commands, BATCH_PARAM_COMMAND_COUNT);
    frame += BATCH_FRAME_BYTES;
  }
  return frameCount;
}
