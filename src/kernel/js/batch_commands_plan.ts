/**
 * Twin of assembly/batch_commands_plan.ts and its specification: sorts the commands of a turn into
 * gets, writes and cold ones, and turns values into response rows.
 */
import {
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
  BATCH_CONTEXT_BYTES,
  BATCH_CONTEXT_END_LENGTH,
  BATCH_CONTEXT_END_PTR,
  BATCH_CONTEXT_START_LENGTH,
  BATCH_CONTEXT_START_PTR,
  BATCH_CONTEXT_VERDICT,
  BATCH_KIND_NOT_FOUND,
  BATCH_KIND_PAIRS,
  BATCH_KIND_VALUE,
  BATCH_NO_CONTEXT,
  BATCH_PARAM_COLD_COMMANDS,
  BATCH_PARAM_COLD_COUNT,
  BATCH_PARAM_COMMAND_COUNT,
  BATCH_PARAM_COMMANDS,
  BATCH_PARAM_CONTEXTS,
  BATCH_PARAM_ENTRY_MAX,
  BATCH_PARAM_GET_CAPACITY,
  BATCH_PARAM_GET_COMMANDS,
  BATCH_PARAM_GET_COUNT,
  BATCH_PARAM_GET_DONE,
  BATCH_PARAM_GET_FROM,
  BATCH_PARAM_KEY_MAX,
  BATCH_PARAM_KEY_TABLE,
  BATCH_PARAM_KEYS,
  BATCH_PARAM_KEYS_END,
  BATCH_PARAM_NOW_HIGH,
  BATCH_PARAM_NOW_LOW,
  BATCH_PARAM_PREFIX,
  BATCH_PARAM_PREFIX_LENGTH,
  BATCH_PARAM_RESPONSE_CAPACITY,
  BATCH_PARAM_RESPONSE_COUNT,
  BATCH_PARAM_RESPONSES,
  BATCH_PARAM_SUBS,
  BATCH_PARAM_TTL,
  BATCH_PARAM_VALUE_TABLE,
  BATCH_PARAM_WRITE_BYTES,
  BATCH_PARAM_WRITE_CAPACITY,
  BATCH_PARAM_WRITE_COMMAND_COUNT,
  BATCH_PARAM_WRITE_COMMANDS,
  BATCH_PARAM_WRITE_COUNT,
  BATCH_PARAM_WRITES,
  BATCH_RESPONSE_BYTES,
  BATCH_RESPONSE_CMD,
  BATCH_RESPONSE_ID_HIGH,
  BATCH_RESPONSE_ID_LOW,
  BATCH_RESPONSE_KIND,
  BATCH_RESPONSE_LENGTH,
  BATCH_RESPONSE_PTR,
  BATCH_RESPONSE_STREAM,
  BATCH_SUB_BYTES,
  BATCH_VERDICT_HOT,
  CMD_RAW_BATCH_DELETE,
  CMD_RAW_BATCH_GET,
  CMD_RAW_BATCH_PUT,
  CMD_RAW_DELETE,
  CMD_RAW_GET,
  CMD_RAW_PUT,
  SLICE_ABSENT,
  SLICE_BYTES,
  WRITE_BATCH_DELETE,
  WRITE_BATCH_PUT,
  WRITE_ROW_BYTES,
  WRITE_ROW_KEY_LENGTH,
  WRITE_ROW_KEY_PTR,
  WRITE_ROW_SUFFIX,
  WRITE_ROW_SUFFIX_LENGTH,
  WRITE_ROW_VALUE_LENGTH,
  WRITE_ROW_VALUE_PTR,
} from "../abi.js";
import type { LinearMemory } from "../arena.js";
import { byteAt, copyBytes, put, putByte, putU32Be, use, word } from "./linear.js";

/** Length of the expiry time behind a V1TTL value. */
const TTL_BYTES = 8;
const U32_MAX = 0xffff_ffff;

/** Whether the key at (ptr, length) sorts before the bound. */
function isBefore(ptr: number, length: number, bound: number, boundLength: number): boolean {
  const common = length < boundLength ? length : boundLength;
  for (let i: number = 0; i < common; i++) {
    const a: number = byteAt(ptr + i);
    const b: number = byteAt(bound + i);
    if (a !== b) return a < b;
  }
  return length < boundLength;
}

/** Whether the key is of legal length and inside the region of the context. */
function isKeyHot(params: number, context: number, ptr: number, length: number): boolean {
  if (length === 0 || length > word(params + BATCH_PARAM_KEY_MAX)) return false;
  const startLength = word(context + BATCH_CONTEXT_START_LENGTH);
  if (startLength !== 0) {
    const start = word(context + BATCH_CONTEXT_START_PTR);
    if (isBefore(ptr, length, start, startLength)) return false;
  }
  const endLength = word(context + BATCH_CONTEXT_END_LENGTH);
  if (endLength === 0) return true;
  return isBefore(ptr, length, word(context + BATCH_CONTEXT_END_PTR), endLength);
}

/** Appends the engine key of a get; false when a table is full. */
function addGet(params: number, command: number, ptr: number, length: number): boolean {
  const count = word(params + BATCH_PARAM_GET_COUNT);
  const keys = word(params + BATCH_PARAM_KEYS);
  const prefixLength = word(params + BATCH_PARAM_PREFIX_LENGTH);
  const end = keys + prefixLength + length;
  if (count === word(params + BATCH_PARAM_GET_CAPACITY)) return false;
  if (end > word(params + BATCH_PARAM_KEYS_END)) return false;
  copyBytes(keys, word(params + BATCH_PARAM_PREFIX), prefixLength);
  copyBytes(keys + prefixLength, ptr, length);
  const row = word(params + BATCH_PARAM_KEY_TABLE) + count * SLICE_BYTES;
  put(row, keys);
  put(row + 4, prefixLength + length);
  put(word(params + BATCH_PARAM_GET_COMMANDS) + (count << 2), command);
  put(params + BATCH_PARAM_KEYS, end);
  put(params + BATCH_PARAM_GET_COUNT, count + 1);
  return true;
}

/** Writes the expiry time of a put, big-endian seconds, 0 = never. */
function putExpiry(params: number, row: number, to: number): void {
  const ttlLow = word(row + BATCH_COMMAND_TTL_LOW);
  const ttlHigh = word(row + BATCH_COMMAND_TTL_HIGH);
  const forEver = ttlLow === 0 && ttlHigh === 0;
  const sum = ttlLow + word(params + BATCH_PARAM_NOW_LOW);
  const carry = sum > U32_MAX ? 1 : 0;
  putU32Be(to, forEver ? 0 : ttlHigh + word(params + BATCH_PARAM_NOW_HIGH) + carry);
  putU32Be(to + 4, forEver ? 0 : sum);
}

/** Loads a big-endian u32. */
function u32Be(from: number): number {
  const upper = (byteAt(from) << 8) | byteAt(from + 1);
  const lower = (byteAt(from + 2) << 8) | byteAt(from + 3);
  return upper * 0x1_0000 + lower;
}

/** Appends a row for writeBatchBuild; false when the table is full. */
function addWrite(params: number, row: number, op: number, sub: number): boolean {
  const count = word(params + BATCH_PARAM_WRITE_COUNT);
  if (count === word(params + BATCH_PARAM_WRITE_CAPACITY)) return false;
  const write = word(params + BATCH_PARAM_WRITES) + count * WRITE_ROW_BYTES;
  const withTtl = op === WRITE_BATCH_PUT && word(params + BATCH_PARAM_TTL) !== 0;
  put(write, op);
  putByte(write + WRITE_ROW_SUFFIX_LENGTH, withTtl ? TTL_BYTES : 0);
  put(write + WRITE_ROW_KEY_PTR, word(sub));
  put(write + WRITE_ROW_KEY_LENGTH, word(sub + 4));
  put(write + WRITE_ROW_VALUE_PTR, word(sub + 8));
  put(write + WRITE_ROW_VALUE_LENGTH, op === WRITE_BATCH_PUT ? word(sub + 12) : 0);
  if (withTtl) putExpiry(params, row, write + WRITE_ROW_SUFFIX);
  put(params + BATCH_PARAM_WRITE_COUNT, count + 1);
  const bytes = word(params + BATCH_PARAM_WRITE_BYTES);
  put(params + BATCH_PARAM_WRITE_BYTES, bytes + word(sub + 4) + word(sub + 12));
  return true;
}

/** Whether a write needs nothing but the default column family and a legal TTL. */
function isWritePlain(params: number, row: number): boolean {
  if (word(row + BATCH_COMMAND_FLAGS) !== 0) return false;
  const ttlLow = word(row + BATCH_COMMAND_TTL_LOW);
  const ttlHigh = word(row + BATCH_COMMAND_TTL_HIGH);
  if (ttlLow === 0 && ttlHigh === 0) return true;
  if (word(params + BATCH_PARAM_TTL) === 0) return false;
  // An expiry time that overflows is the host's to refuse.
  const carry = ttlLow + word(params + BATCH_PARAM_NOW_LOW) > U32_MAX ? 1 : 0;
  return ttlHigh + word(params + BATCH_PARAM_NOW_HIGH) + carry <= U32_MAX;
}

/** Plans a command with one key. */
function planOne(params: number, index: number, row: number, context: number): boolean {
  const cmd = word(row + BATCH_COMMAND_CMD);
  const ptr = word(row + BATCH_COMMAND_KEY_PTR);
  const length = word(row + BATCH_COMMAND_KEY_LENGTH);
  if (!isKeyHot(params, context, ptr, length)) return false;
  if (cmd === CMD_RAW_GET) {
    return word(row + BATCH_COMMAND_FLAGS) === 0 && addGet(params, index, ptr, length);
  }
  if (!isWritePlain(params, row)) return false;
  const bytes = length + word(row + BATCH_COMMAND_VALUE_LENGTH);
  if (bytes > word(params + BATCH_PARAM_ENTRY_MAX)) return false;
  const op: number = cmd === CMD_RAW_PUT ? WRITE_BATCH_PUT : WRITE_BATCH_DELETE;
  return addWrite(params, row, op, row + BATCH_COMMAND_KEY_PTR);
}

/** Plans a command with sub rows: all of them, or none. */
function planMany(params: number, index: number, row: number, context: number): boolean {
  const cmd = word(row + BATCH_COMMAND_CMD);
  const subCount = word(row + BATCH_COMMAND_SUB_COUNT);
  if (subCount === 0) return false;
  const first =
    word(params + BATCH_PARAM_SUBS) + word(row + BATCH_COMMAND_SUB_FIRST) * BATCH_SUB_BYTES;
  const end = first + subCount * BATCH_SUB_BYTES;
  let bytes: number = 0;
  for (let sub = first; sub < end; sub += BATCH_SUB_BYTES) {
    const length = word(sub + 4);
    if (!isKeyHot(params, context, word(sub), length)) return false;
    bytes += length + word(sub + 12);
  }
  return cmd === CMD_RAW_BATCH_GET
    ? planGets(params, index, row, first, end)
    : planWrites(params, row, first, end, bytes);
}

/** Appends a get for each sub row. */
function planGets(params: number, index: number, row: number, first: number, end: number): boolean {
  if (word(row + BATCH_COMMAND_FLAGS) !== 0) return false;
  const count = word(params + BATCH_PARAM_GET_COUNT);
  const keys = word(params + BATCH_PARAM_KEYS);
  for (let sub = first; sub < end; sub += BATCH_SUB_BYTES) {
    if (addGet(params, index, word(sub), word(sub + 4))) continue;
    put(params + BATCH_PARAM_GET_COUNT, count);
    put(params + BATCH_PARAM_KEYS, keys);
    return false;
  }
  return true;
}

/** Appends a write for each sub row. */
function planWrites(
  params: number,
  row: number,
  first: number,
  end: number,
  bytes: number,
): boolean {
  if (!isWritePlain(params, row)) return false;
  if (bytes > word(params + BATCH_PARAM_ENTRY_MAX)) return false;
  const cmd = word(row + BATCH_COMMAND_CMD);
  const op: number = cmd === CMD_RAW_BATCH_PUT ? WRITE_BATCH_PUT : WRITE_BATCH_DELETE;
  const count = word(params + BATCH_PARAM_WRITE_COUNT);
  const before = word(params + BATCH_PARAM_WRITE_BYTES);
  for (let sub = first; sub < end; sub += BATCH_SUB_BYTES) {
    if (addWrite(params, row, op, sub)) continue;
    put(params + BATCH_PARAM_WRITE_COUNT, count);
    put(params + BATCH_PARAM_WRITE_BYTES, before);
    return false;
  }
  return true;
}

/** Appends a command index to a u32 list of the params. */
function append(params: number, list: number, counter: number, index: number): void {
  const count = word(params + counter);
  put(word(params + list) + (count << 2), index);
  put(params + counter, count + 1);
}

/**
 * Plans all commands of the table; returns how many are hot. The lists of the params hold a
 * u32 for each command at most, so they are never full. KEYS moves behind the keys built.
 */
export function batchCommandsPlan(memory: LinearMemory, params: number): number {
  use(memory);
  const count = word(params + BATCH_PARAM_COMMAND_COUNT);
  const contexts = word(params + BATCH_PARAM_CONTEXTS);
  let row = word(params + BATCH_PARAM_COMMANDS);
  let hotCount = 0;
  put(params + BATCH_PARAM_GET_COUNT, 0);
  put(params + BATCH_PARAM_WRITE_COUNT, 0);
  put(params + BATCH_PARAM_WRITE_BYTES, 0);
  put(params + BATCH_PARAM_WRITE_COMMAND_COUNT, 0);
  put(params + BATCH_PARAM_COLD_COUNT, 0);
  for (let i: number = 0; i < count; i++, row += BATCH_COMMAND_BYTES) {
    const cmd = word(row + BATCH_COMMAND_CMD);
    const contextIndex = word(row + BATCH_COMMAND_CONTEXT);
    let hot = false;
    if (cmd >= CMD_RAW_GET && cmd <= CMD_RAW_BATCH_DELETE && contextIndex !== BATCH_NO_CONTEXT) {
      const context = contexts + contextIndex * BATCH_CONTEXT_BYTES;
      if (word(context + BATCH_CONTEXT_VERDICT) === BATCH_VERDICT_HOT) {
        const one = cmd === CMD_RAW_GET || cmd === CMD_RAW_PUT || cmd === CMD_RAW_DELETE;
        hot = one ? planOne(params, i, row, context) : planMany(params, i, row, context);
      }
    }
    if (!hot) {
      append(params, BATCH_PARAM_COLD_COMMANDS, BATCH_PARAM_COLD_COUNT, i);
      continue;
    }
    hotCount++;
    if (cmd === CMD_RAW_GET || cmd === CMD_RAW_BATCH_GET) continue;
    append(params, BATCH_PARAM_WRITE_COMMANDS, BATCH_PARAM_WRITE_COMMAND_COUNT, i);
  }
  return hotCount;
}

/** Cuts the expiry time off a value; an expired one becomes absent. False for a damaged value. */
function stripTtl(value: number, nowLow: number, nowHigh: number): boolean {
  const length = word(value + 4);
  if (length === SLICE_ABSENT) return true;
  if (length < TTL_BYTES) return false;
  const end = word(value) + length;
  const low = u32Be(end - 4);
  const high = u32Be(end - TTL_BYTES);
  const past = high < nowHigh || (high === nowHigh && low <= nowLow);
  const expired = (high !== 0 || low !== 0) && past;
  put(value + 4, expired ? SLICE_ABSENT : length - TTL_BYTES);
  return true;
}

/** Writes the response row of the command whose gets are `[first, end)`. */
function respond(params: number, command: number, first: number, end: number): void {
  const count = word(params + BATCH_PARAM_RESPONSE_COUNT);
  const to = word(params + BATCH_PARAM_RESPONSES) + count * BATCH_RESPONSE_BYTES;
  const row = word(params + BATCH_PARAM_COMMANDS) + command * BATCH_COMMAND_BYTES;
  const cmd = word(row + BATCH_COMMAND_CMD);
  const value = word(params + BATCH_PARAM_VALUE_TABLE) + first * SLICE_BYTES;
  const length = word(value + 4);
  put(to + BATCH_RESPONSE_STREAM, word(row + BATCH_COMMAND_STREAM));
  put(to + BATCH_RESPONSE_ID_LOW, word(row + BATCH_COMMAND_ID_LOW));
  put(to + BATCH_RESPONSE_ID_HIGH, word(row + BATCH_COMMAND_ID_HIGH));
  put(to + BATCH_RESPONSE_CMD, cmd);
  if (cmd === CMD_RAW_BATCH_GET) {
    put(to + BATCH_RESPONSE_KIND, BATCH_KIND_PAIRS);
    put(to + BATCH_RESPONSE_PTR, first);
    put(to + BATCH_RESPONSE_LENGTH, end - first);
  } else {
    const absent = length === SLICE_ABSENT;
    put(to + BATCH_RESPONSE_KIND, absent ? BATCH_KIND_NOT_FOUND : BATCH_KIND_VALUE);
    put(to + BATCH_RESPONSE_PTR, word(value));
    put(to + BATCH_RESPONSE_LENGTH, absent ? 0 : length);
  }
  put(params + BATCH_PARAM_RESPONSE_COUNT, count + 1);
}

/**
 * Writes a response row for each command whose gets all lie in `[GET_FROM, GET_DONE)`, and a cold
 * entry for each with a damaged value. Returns the first get that was not used: gets of a command
 * that is not complete, or did not fit into the response table, are read again.
 */
export function batchCommandsCollect(memory: LinearMemory, params: number): number {
  use(memory);
  const done = word(params + BATCH_PARAM_GET_DONE);
  const total = word(params + BATCH_PARAM_GET_COUNT);
  const owners = word(params + BATCH_PARAM_GET_COMMANDS);
  const values = word(params + BATCH_PARAM_VALUE_TABLE);
  const ttl = word(params + BATCH_PARAM_TTL) !== 0;
  const nowLow = word(params + BATCH_PARAM_NOW_LOW);
  const nowHigh = word(params + BATCH_PARAM_NOW_HIGH);
  const capacity = word(params + BATCH_PARAM_RESPONSE_CAPACITY);
  let get = word(params + BATCH_PARAM_GET_FROM);
  while (get < done && word(params + BATCH_PARAM_RESPONSE_COUNT) < capacity) {
    const command = word(owners + (get << 2));
    let end = get + 1;
    while (end < total && word(owners + (end << 2)) === command) end++;
    if (end > done) break;
    let sound = true;
    if (ttl) {
      for (let i = get; i < end; i++) {
        sound = stripTtl(values + i * SLICE_BYTES, nowLow, nowHigh) && sound;
      }
    }
    if (sound) respond(params, command, get, end);
    else append(params, BATCH_PARAM_COLD_COMMANDS, BATCH_PARAM_COLD_COUNT, command);
    get = end;
  }
  return get;
}
