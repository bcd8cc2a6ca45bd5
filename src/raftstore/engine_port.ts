/**
 * The store's engine: synchronous reads, and writes that call back. State machines must not see
 * promises, so that the simulator can delay, cut and reorder completions on virtual time.
 *
 * Not here: failures. A failed write or sync ends the process (engine `onFatal`), it never calls
 * back: nothing may be acknowledged after it.
 */
import type { Engine } from "../engine/index.js";

export interface EnginePort {
  /** For reads, snapshots, sizes and batch builders. Its writes are not called directly. */
  readonly engine: Engine;
  /**
   * Submits a write batch representation (copied before the call returns). Writes take effect in
   * the order of the calls. Calls back, never from inside `write`, when it is applied and, with
   * `sync`, durable together with everything before it.
   */
  write(representation: Uint8Array, sync: boolean, onDone: () => void): void;
}

/** The port of a real engine. `onFatal` gets refusals; the engine reports its failures itself. */
export function enginePort(engine: Engine, onFatal: (error: Error) => void): EnginePort {
  return {
    engine,
    write(representation, sync, onDone) {
      engine.writeBytes(representation, { sync }).then(onDone, onFatal);
    },
  };
}
