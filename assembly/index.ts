/**
 * Exports of every build. The list equals KERNEL_NAMES in src/kernel/functions.ts plus `init`
 * and `memory`; test/unit/kernel/loader_test.ts holds them together.
 */
import { initHeader } from "./arena";

export {
  batchCommandsCollect,
  batchCommandsDecode,
  batchCommandsEncode,
  batchCommandsPlan,
} from "./batch_commands";
export { memcomparableDecode, memcomparableEncode } from "./memcomparable";

/** Fills the header and the static tables; the host calls it once per instance. */
export function init(): void {
  initHeader();
}
