/**
 * Sorts the commands of a turn: point reads become engine keys, plain writes become rows for
 * writeBatchBuild, everything else goes to the host. After the multi-get, collect turns values
 * into response rows. When in doubt a command is cold: the host's path is the complete one.
 */
import {
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
} from "./abi";
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
  BATCH_COMMAND_VALUE_PTR,
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
  BATCH_PARAM_COMMANDS,
  BATCH_PARAM_COMMAND_COUNT,
  BATCH_PARAM_CONTEXTS,
  BATCH_PARAM_ENTRY_MAX,
  BATCH_PARAM_GET_CAPACITY,
  BATCH_PARAM_GET_COMMANDS,
  BATCH_PARAM_GET_COUNT,
  BATCH_PARAM_GET_DONE,
  BATCH_PARAM_GET_FROM,
  BATCH_PARAM_KEYS,
  BATCH_PARAM_KEYS_END,
  BATCH_PARAM_KEY_MAX,
  BATCH_PARAM_KEY_TABLE,
  BATCH_PARAM_NOW_HIGH,
  BATCH_PARAM_NOW_LOW,
  BATCH_PARAM_PREFIX,
  BATCH_PARAM_PREFIX_LENGTH,
  BATCH_PARAM_RESPONSES,
  BATCH_PARAM_RESPONSE_CAPACITY,
  BATCH_PARAM_RESPONSE_COUNT,
  BATCH_PARAM_SUBS,
  BATCH_PARAM_TTL,
  BATCH_PARAM_VALUE_TABLE,
  BATCH_PARAM_WRITES,
  BATCH_PARAM_WRITE_BYTES,
  BATCH_PARAM_WRITE_CAPACITY,
  BATCH_PARAM_WRITE_COMMANDS,
  BATCH_PARAM_WRITE_COMMAND_COUNT,
  BATCH_PARAM_WRITE_COUNT,
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
} from "./batch_commands_abi";
import { copyBytes } from "./bytes";

/** Length of the expiry time behind a V1TTL value. */
const TTL_BYTES: usize = 8;
/** Distance of the last cmd with a hot path from the first, RawGet. */
const LAST_HOT: u32 = CMD_RAW_BATCH_DELETE - CMD_RAW_GET;

/** Whether the key at (ptr, length) sorts before the bound. */
function isBefore(ptr: usize, length: usize, bound: usize, boundLength: usize): bool {
  const common = length < boundLength ? length : boundLength;
  for (let i: usize = 0; i < common; i++) {
    const a: u32 = load<u8>(ptr + i);
    const b: u32 = load<u8>(bound + i);
    if (a != b) return a < b;
  }
  return length < boundLength;
}

/** Whether the key is of legal length and inside the region of the context. */
function isKeyHot(params: usize, context: usize, ptr: usize, length: usize): bool {
  if (length == 0 || length > <usize>load<u32>(params, BATCH_PARAM_KEY_MAX)) return false;
  const startLength = <usize>load<u32>(context, BATCH_CONTEXT_START_LENGTH);
  if (startLength != 0) {
    const start = <usize>load<u32>(context, BATCH_CONTEXT_START_PTR);
    if (isBefore(ptr, length, start, startLength)) return false;
  }
  const endLength = <usize>load<u32>(context, BATCH_CONTEXT_END_LENGTH);
  if (endLength == 0) return true;
  return isBefore(ptr, length, <usize>load<u32>(context, BATCH_CONTEXT_END_PTR), endLength);
}

/** Appends the engine key of a get; false when a table is full. */
function addGet(params: usize, command: u32, ptr: usize, length: usize): bool {
  const count = load<u32>(params, BATCH_PARAM_GET_COUNT);
  const keys = <usize>load<u32>(params, BATCH_PARAM_KEYS);
  const prefixLength = <usize>load<u32>(params, BATCH_PARAM_PREFIX_LENGTH);
  const end = keys + prefixLength + length;
  if (count == load<u32>(params, BATCH_PARAM_GET_CAPACITY)) return false;
  if (end > <usize>load<u32>(params, BATCH_PARAM_KEYS_END)) return false;
  copyBytes(keys, <usize>load<u32>(params, BATCH_PARAM_PREFIX), prefixLength);
  copyBytes(keys + prefixLength, ptr, length);
  const row = <usize>load<u32>(params, BATCH_PARAM_KEY_TABLE) + <usize>count * SLICE_BYTES;
  store<u32>(row, <u32>keys);
  store<u32>(row, <u32>(prefixLength + length), 4);
  store<u32>(
    <usize>load<u32>(params, BATCH_PARAM_GET_COMMANDS) + ((<usize>count) << 2),
    command,
  );
  store<u32>(params, <u32>end, BATCH_PARAM_KEYS);
  store<u32>(params, count + 1, BATCH_PARAM_GET_COUNT);
  return true;
}

/** The expiry time of a put in seconds: 0 = never. */
function expiryOf(params: usize, row: usize): u64 {
  const ttl = load<u64>(row, BATCH_COMMAND_TTL_LOW);
  return ttl == 0 ? 0 : load<u64>(params, BATCH_PARAM_NOW_LOW) + ttl;
}

/** Appends a row for writeBatchBuild; false when the table is full. */
function addWrite(params: usize, row: usize, op: u32, sub: usize): bool {
  const count = load<u32>(params, BATCH_PARAM_WRITE_COUNT);
  if (count == load<u32>(params, BATCH_PARAM_WRITE_CAPACITY)) return false;
  const write = <usize>load<u32>(params, BATCH_PARAM_WRITES) + <usize>count * WRITE_ROW_BYTES;
  const withTtl = op == WRITE_BATCH_PUT && load<u32>(params, BATCH_PARAM_TTL) != 0;
  store<u32>(write, op);
  store<u8>(write, withTtl ? <u8>TTL_BYTES : 0, WRITE_ROW_SUFFIX_LENGTH);
  store<u32>(write, load<u32>(sub), WRITE_ROW_KEY_PTR);
  store<u32>(write, load<u32>(sub, 4), WRITE_ROW_KEY_LENGTH);
  store<u32>(write, load<u32>(sub, 8), WRITE_ROW_VALUE_PTR);
  store<u32>(write, op == WRITE_BATCH_PUT ? load<u32>(sub, 12) : 0, WRITE_ROW_VALUE_LENGTH);
  if (withTtl) store<u64>(write, bswap<u64>(expiryOf(params, row)), WRITE_ROW_SUFFIX);
  store<u32>(params, count + 1, BATCH_PARAM_WRITE_COUNT);
  const bytes = load<u32>(params, BATCH_PARAM_WRITE_BYTES);
  store<u32>(params, bytes + load<u32>(sub, 4) + load<u32>(sub, 12), BATCH_PARAM_WRITE_BYTES);
  return true;
}

/** Whether a write needs nothing but the default column family and a legal TTL. */
function isWritePlain(params: usize, row: usize): bool {
  if (load<u32>(row, BATCH_COMMAND_FLAGS) != 0) return false;
  const ttl = load<u64>(row, BATCH_COMMAND_TTL_LOW);
  if (ttl == 0) return true;
  if (load<u32>(params, BATCH_PARAM_TTL) == 0) return false;
  // An expiry time that overflows is the host's to refuse.
  return ttl <= U64.MAX_VALUE - load<u64>(params, BATCH_PARAM_NOW_LOW);
}

/** Plans a command with one key. */
function planOne(params: usize, index: u32, row: usize, context: usize): bool {
  const cmd = load<u32>(row, BATCH_COMMAND_CMD);
  const ptr = <usize>load<u32>(row, BATCH_COMMAND_KEY_PTR);
  const length = load<u32>(row, BATCH_COMMAND_KEY_LENGTH);
  if (!isKeyHot(params, context, ptr, <usize>length)) return false;
  if (cmd == CMD_RAW_GET) {
    return load<u32>(row, BATCH_COMMAND_FLAGS) == 0 && addGet(params, index, ptr, <usize>length);
  }
  if (!isWritePlain(params, row)) return false;
  const bytes = length + load<u32>(row, BATCH_COMMAND_VALUE_LENGTH);
  if (bytes > load<u32>(params, BATCH_PARAM_ENTRY_MAX)) return false;
  const op: u32 = cmd == CMD_RAW_PUT ? WRITE_BATCH_PUT : WRITE_BATCH_DELETE;
  return addWrite(params, row, op, row + BATCH_COMMAND_KEY_PTR);
}

/** Plans a command with sub rows: all of them, or none. */
function planMany(params: usize, index: u32, row: usize, context: usize): bool {
  const cmd = load<u32>(row, BATCH_COMMAND_CMD);
  const subCount = load<u32>(row, BATCH_COMMAND_SUB_COUNT);
  if (subCount == 0) return false;
  const first =
    <usize>load<u32>(params, BATCH_PARAM_SUBS) +
    <usize>load<u32>(row, BATCH_COMMAND_SUB_FIRST) * BATCH_SUB_BYTES;
  const end = first + <usize>subCount * BATCH_SUB_BYTES;
  let bytes: u64 = 0;
  for (let sub = first; sub < end; sub += BATCH_SUB_BYTES) {
    const length = load<u32>(sub, 4);
    if (!isKeyHot(params, context, <usize>load<u32>(sub), <usize>length)) return false;
    bytes += <u64>length + <u64>load<u32>(sub, 12);
  }
  return cmd == CMD_RAW_BATCH_GET
    ? planGets(params, index, row, first, end)
    : planWrites(params, row, first, end, bytes);
}

/** Appends a get for each sub row. */
function planGets(params: usize, index: u32, row: usize, first: usize, end: usize): bool {
  if (load<u32>(row, BATCH_COMMAND_FLAGS) != 0) return false;
  const count = load<u32>(params, BATCH_PARAM_GET_COUNT);
  const keys = load<u32>(params, BATCH_PARAM_KEYS);
  for (let sub = first; sub < end; sub += BATCH_SUB_BYTES) {
    if (addGet(params, index, <usize>load<u32>(sub), <usize>load<u32>(sub, 4))) continue;
    store<u32>(params, count, BATCH_PARAM_GET_COUNT);
    store<u32>(params, keys, BATCH_PARAM_KEYS);
    return false;
  }
  return true;
}

/** Appends a write for each sub row. */
function planWrites(params: usize, row: usize, first: usize, end: usize, bytes: u64): bool {
  if (!isWritePlain(params, row)) return false;
  if (bytes > <u64>load<u32>(params, BATCH_PARAM_ENTRY_MAX)) return false;
  const cmd = load<u32>(row, BATCH_COMMAND_CMD);
  const op: u32 = cmd == CMD_RAW_BATCH_PUT ? WRITE_BATCH_PUT : WRITE_BATCH_DELETE;
  const count = load<u32>(params, BATCH_PARAM_WRITE_COUNT);
  const before = load<u32>(params, BATCH_PARAM_WRITE_BYTES);
  for (let sub = first; sub < end; sub += BATCH_SUB_BYTES) {
    if (addWrite(params, row, op, sub)) continue;
    store<u32>(params, count, BATCH_PARAM_WRITE_COUNT);
    store<u32>(params, before, BATCH_PARAM_WRITE_BYTES);
    return false;
  }
  return true;
}

/** Appends a command index to a u32 list of the params. */
function append(params: usize, list: usize, counter: usize, index: u32): void {
  const count = load<u32>(params + counter);
  store<u32>(<usize>load<u32>(params + list) + ((<usize>count) << 2), index);
  store<u32>(params + counter, count + 1);
}

/**
 * Plans all commands of the table; returns how many are hot. The lists of the params hold a
 * u32 for each command at most, so they are never full. KEYS moves behind the keys built.
 */
export function batchCommandsPlan(params: usize): i32 {
  const count = load<u32>(params, BATCH_PARAM_COMMAND_COUNT);
  const contexts = <usize>load<u32>(params, BATCH_PARAM_CONTEXTS);
  let row = <usize>load<u32>(params, BATCH_PARAM_COMMANDS);
  let hotCount = 0;
  store<u32>(params, 0, BATCH_PARAM_GET_COUNT);
  store<u32>(params, 0, BATCH_PARAM_WRITE_COUNT);
  store<u32>(params, 0, BATCH_PARAM_WRITE_BYTES);
  store<u32>(params, 0, BATCH_PARAM_WRITE_COMMAND_COUNT);
  store<u32>(params, 0, BATCH_PARAM_COLD_COUNT);
  for (let i: u32 = 0; i < count; i++, row += BATCH_COMMAND_BYTES) {
    const cmd = load<u32>(row, BATCH_COMMAND_CMD);
    const contextIndex = load<u32>(row, BATCH_COMMAND_CONTEXT);
    let hot = false;
    if (cmd - CMD_RAW_GET <= LAST_HOT && contextIndex != BATCH_NO_CONTEXT) {
      const context = contexts + <usize>contextIndex * BATCH_CONTEXT_BYTES;
      if (load<u32>(context, BATCH_CONTEXT_VERDICT) == BATCH_VERDICT_HOT) {
        const one = cmd == CMD_RAW_GET || cmd == CMD_RAW_PUT || cmd == CMD_RAW_DELETE;
        hot = one ? planOne(params, i, row, context) : planMany(params, i, row, context);
      }
    }
    if (!hot) {
      append(params, BATCH_PARAM_COLD_COMMANDS, BATCH_PARAM_COLD_COUNT, i);
      continue;
    }
    hotCount++;
    if (cmd == CMD_RAW_GET || cmd == CMD_RAW_BATCH_GET) continue;
    append(params, BATCH_PARAM_WRITE_COMMANDS, BATCH_PARAM_WRITE_COMMAND_COUNT, i);
  }
  return hotCount;
}

/** Cuts the expiry time off a value; an expired one becomes absent. False for a damaged value. */
function stripTtl(value: usize, now: u64): bool {
  const length = load<u32>(value, 4);
  if (length == SLICE_ABSENT) return true;
  if (<usize>length < TTL_BYTES) return false;
  const end = <usize>load<u32>(value) + <usize>length;
  const expiry = bswap<u64>(load<u64>(end - TTL_BYTES));
  const expired = expiry != 0 && expiry <= now;
  store<u32>(value, expired ? SLICE_ABSENT : length - <u32>TTL_BYTES, 4);
  return true;
}

/** Writes the response row of the command whose gets are `[first, end)`. */
function respond(params: usize, command: u32, first: u32, end: u32): void {
  const count = load<u32>(params, BATCH_PARAM_RESPONSE_COUNT);
  const to = <usize>load<u32>(params, BATCH_PARAM_RESPONSES) + <usize>count * BATCH_RESPONSE_BYTES;
  const row =
    <usize>load<u32>(params, BATCH_PARAM_COMMANDS) + <usize>command * BATCH_COMMAND_BYTES;
  const cmd = load<u32>(row, BATCH_COMMAND_CMD);
  const value =
    <usize>load<u32>(params, BATCH_PARAM_VALUE_TABLE) + <usize>first * SLICE_BYTES;
  const length = load<u32>(value, 4);
  store<u32>(to, load<u32>(row, BATCH_COMMAND_STREAM), BATCH_RESPONSE_STREAM);
  store<u32>(to, load<u32>(row, BATCH_COMMAND_ID_LOW), BATCH_RESPONSE_ID_LOW);
  store<u32>(to, load<u32>(row, BATCH_COMMAND_ID_HIGH), BATCH_RESPONSE_ID_HIGH);
  store<u32>(to, cmd, BATCH_RESPONSE_CMD);
  if (cmd == CMD_RAW_BATCH_GET) {
    store<u32>(to, BATCH_KIND_PAIRS, BATCH_RESPONSE_KIND);
    store<u32>(to, first, BATCH_RESPONSE_PTR);
    store<u32>(to, end - first, BATCH_RESPONSE_LENGTH);
  } else {
    const absent = length == SLICE_ABSENT;
    store<u32>(to, absent ? BATCH_KIND_NOT_FOUND : BATCH_KIND_VALUE, BATCH_RESPONSE_KIND);
    store<u32>(to, load<u32>(value), BATCH_RESPONSE_PTR);
    store<u32>(to, absent ? 0 : length, BATCH_RESPONSE_LENGTH);
  }
  store<u32>(params, count + 1, BATCH_PARAM_RESPONSE_COUNT);
}

/**
 * Writes a response row for each command whose gets all lie in `[GET_FROM, GET_DONE)`, and a cold
 * entry for each with a damaged value. Returns the first get that was not used: gets of a command
 * that is not complete, or did not fit into the response table, are read again.
 */
export function batchCommandsCollect(params: usize): i32 {
  const done = load<u32>(params, BATCH_PARAM_GET_DONE);
  const total = load<u32>(params, BATCH_PARAM_GET_COUNT);
  const owners = <usize>load<u32>(params, BATCH_PARAM_GET_COMMANDS);
  const values = <usize>load<u32>(params, BATCH_PARAM_VALUE_TABLE);
  const ttl = load<u32>(params, BATCH_PARAM_TTL) != 0;
  const now = load<u64>(params, BATCH_PARAM_NOW_LOW);
  const capacity = load<u32>(params, BATCH_PARAM_RESPONSE_CAPACITY);
  let get = load<u32>(params, BATCH_PARAM_GET_FROM);
  while (get < done && load<u32>(params, BATCH_PARAM_RESPONSE_COUNT) < capacity) {
    const command = load<u32>(owners + ((<usize>get) << 2));
    let end = get + 1;
    while (end < total && load<u32>(owners + ((<usize>end) << 2)) == command) end++;
    if (end > done) break;
    let sound = true;
    if (ttl) {
      for (let i = get; i < end; i++) {
        sound = stripTtl(values + <usize>i * SLICE_BYTES, now) && sound;
      }
    }
    if (sound) respond(params, command, get, end);
    else append(params, BATCH_PARAM_COLD_COMMANDS, BATCH_PARAM_COLD_COUNT, command);
    get = end;
  }
  return <i32>get;
}
