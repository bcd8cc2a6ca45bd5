/**
 * The kernels of a BatchCommands turn: decode, plan, collect, encode. Hot path.
 * The record layouts and the picture of a turn are in batch_commands_abi.ts.
 */
export { batchCommandsDecode } from "./batch_commands_decode";
export { batchCommandsEncode } from "./batch_commands_encode";
export { batchCommandsCollect, batchCommandsPlan } from "./batch_commands_plan";
