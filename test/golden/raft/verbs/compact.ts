/** `compact 1 index=8`: snapshots the applied state and removes the log up to the index. */
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, numbers, target } from "../env.js";

export function compact(env: Env, item: DataCase): void {
  target(env, item).compact(numbers(item, "index")[0] as number);
}
