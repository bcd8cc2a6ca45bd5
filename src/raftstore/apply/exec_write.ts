/** Applies a write of data: its records join the round's batch. Hot path. */
import { representationCount } from "../../engine/index.js";
import type { ApplyContext } from "./context.js";
import type { ApplyDelegate } from "./delegate.js";

/** Appends the records of `data`, a write batch representation, and counts them for the region. */
export function execWrite(delegate: ApplyDelegate, data: Uint8Array, ctx: ApplyContext): void {
  ctx.appendData(data);
  delegate.countWritten(representationCount(data), data.length);
}
