/**
 * Where the tables of a turn lie in the arena, and how large they are. The sizes follow from the
 * arena alone, so that every turn reserves the same and nothing has to grow. Hot path.
 *
 *   input     frames
 *   scratch   params · frame, context, command and sub tables · gets · writes · lists · responses
 *   output    values | response messages, later the write batch
 */
import { assert } from "../base/index.js";
import {
  type Arena,
  BATCH_COMMAND_BYTES,
  BATCH_CONTEXT_BYTES,
  BATCH_FRAME_BYTES,
  BATCH_OUT_BYTES,
  BATCH_PARAM_BYTES,
  BATCH_RESPONSE_BYTES,
  BATCH_SUB_BYTES,
  SLICE_BYTES,
  WRITE_ROW_BYTES,
} from "../kernel/index.js";

const MIB = 1024 * 1024;
/** Scratch bytes that a multi-get wants for each key (engine/types.ts). */
const ENGINE_SCRATCH_BYTES = 48;
/** Scratch that all tables together take for each command of the capacity, rounded up. */
const SCRATCH_PER_COMMAND = 640;
/** Scratch for params, the key prefix and alignment. */
const SCRATCH_FIXED_BYTES = 4096;
const COMMANDS_MAX = 16_384;
const FRAMES_MAX = 4096;
const CONTEXTS_MAX = 4096;
const TURN_BYTES_MAX = 4 * MIB;
/** Region bounds that are copied next to the keys of a turn. */
const BOUNDS_BYTES = 64 * 1024;

/** Capacities of a turn. */
export interface TurnSizes {
  /** Bytes of frames; a larger frame goes to a twin of its own size. */
  readonly frameBytes: number;
  readonly frames: number;
  readonly contexts: number;
  readonly commands: number;
  readonly subs: number;
  readonly gets: number;
  readonly writes: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
}

/** Addresses of a turn; 0 is never a valid one. */
export interface TurnLayout {
  readonly params: number;
  readonly frames: number;
  readonly contexts: number;
  readonly commands: number;
  readonly subs: number;
  readonly keyTable: number;
  readonly valueTable: number;
  readonly getCommands: number;
  readonly keys: number;
  readonly keysEnd: number;
  readonly bounds: number;
  readonly boundsEnd: number;
  readonly writes: number;
  readonly writeCommands: number;
  readonly coldCommands: number;
  readonly responses: number;
  readonly order: number;
  readonly outFrames: number;
  readonly engineScratch: number;
  readonly engineScratchEnd: number;
  readonly values: number;
  readonly valuesEnd: number;
}

/** Returns the capacities that fit into an arena. */
export function turnSizes(arena: Arena): TurnSizes {
  const { input, scratch, output } = arena;
  const scratchBytes = scratch.end - scratch.start;
  const frameBytes = Math.min(
    TURN_BYTES_MAX,
    (input.end - input.start) >> 1,
    (scratchBytes >> 2) - BOUNDS_BYTES,
  );
  const commands = Math.min(
    COMMANDS_MAX,
    Math.floor(
      (scratchBytes - frameBytes - BOUNDS_BYTES - SCRATCH_FIXED_BYTES) / SCRATCH_PER_COMMAND,
    ),
  );
  assert(commands >= 64, "the arena has room for a turn");
  const subs = commands * 2;
  return {
    frameBytes,
    frames: Math.min(FRAMES_MAX, commands),
    contexts: Math.min(CONTEXTS_MAX, commands),
    commands,
    subs,
    gets: commands + subs,
    writes: commands + subs,
    keyBytes: frameBytes + 4 * (commands + subs),
    valueBytes: Math.floor((output.end - output.start) / 3),
  };
}

/** Reserves the tables of a turn; the arena must have been entered and be empty. */
export function layOut(arena: Arena, sizes: TurnSizes): TurnLayout {
  const { scratch, output } = arena;
  const table = (rows: number, bytes: number): number => {
    const at = scratch.reserve(rows * bytes);
    assert(at !== 0, "the capacities follow from the arena");
    return at;
  };
  const params = table(1, BATCH_PARAM_BYTES);
  const frames = table(sizes.frames, BATCH_FRAME_BYTES);
  const contexts = table(sizes.contexts, BATCH_CONTEXT_BYTES);
  const commands = table(sizes.commands, BATCH_COMMAND_BYTES);
  const subs = table(sizes.subs, BATCH_SUB_BYTES);
  const keyTable = table(sizes.gets, SLICE_BYTES);
  const valueTable = table(sizes.gets, SLICE_BYTES);
  const getCommands = table(sizes.gets, 4);
  const writes = table(sizes.writes, WRITE_ROW_BYTES);
  const writeCommands = table(sizes.commands, 4);
  const coldCommands = table(sizes.commands, 4);
  const responses = table(sizes.commands, BATCH_RESPONSE_BYTES);
  const order = table(sizes.commands + sizes.frames + 1, 4);
  const outFrames = table(sizes.frames, BATCH_OUT_BYTES);
  const engineScratch = table(sizes.gets, ENGINE_SCRATCH_BYTES);
  const bounds = table(1, BOUNDS_BYTES);
  const keys = table(1, sizes.keyBytes);
  const values = output.reserve(sizes.valueBytes);
  assert(values !== 0, "the values take a third of the output");
  return {
    params,
    frames,
    contexts,
    commands,
    subs,
    keyTable,
    valueTable,
    getCommands,
    keys,
    keysEnd: keys + sizes.keyBytes,
    bounds,
    boundsEnd: bounds + BOUNDS_BYTES,
    writes,
    writeCommands,
    coldCommands,
    responses,
    order,
    outFrames,
    engineScratch,
    engineScratchEnd: engineScratch + sizes.gets * ENGINE_SCRATCH_BYTES,
    values,
    valuesEnd: values + sizes.valueBytes,
  };
}
