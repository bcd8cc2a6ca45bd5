/** Twins of the batch_commands kernels; see assembly/batch_commands.ts. */
export { batchCommandsDecode } from "./batch_commands_decode.js";
export { batchCommandsEncode } from "./batch_commands_encode.js";
export { batchCommandsCollect, batchCommandsPlan } from "./batch_commands_plan.js";
