/** Counts of open snapshots and iterators of one engine, and the closing rule. Shared by all bindings. */
import { TikvError } from "../base/index.js";

/** Invariant: `close` of an engine is refused while either count is above zero. */
export class OpenHandles {
  snapshots = 0;
  iterators = 0;
  /** Set once `close` was accepted. */
  closed = false;

  /** Throws RUTILE:Engine:Closed after the engine was closed. */
  mustBeOpen(): void {
    if (this.closed) throw new TikvError("RUTILE:Engine:Closed", "the engine is closed");
  }

  /** Marks the engine as closed; throws RUTILE:Engine:Closed while handles are open. */
  markClosed(): void {
    if (this.snapshots > 0 || this.iterators > 0) {
      const open = `${this.snapshots} snapshots and ${this.iterators} iterators are open`;
      throw new TikvError("RUTILE:Engine:Closed", `the engine cannot close: ${open}`);
    }
    this.closed = true;
  }
}
