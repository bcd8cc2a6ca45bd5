/** What a store that is alone needs beside its engine, its clock and PD. */
import { Prng } from "../../src/base/index.js";
import { realTimers } from "../../src/node/real_timers.js";
import { MemorySnapDisk, MemorySnapFiles, type StoreDeps } from "../../src/raftstore/index.js";

export type LoneParts = Pick<StoreDeps, "timers" | "prng" | "snapFiles" | "transport">;

/** Real timers, a fixed seed, and nobody to talk to. */
export function loneParts(): LoneParts {
  return {
    timers: realTimers,
    prng: new Prng(1n),
    snapFiles: new MemorySnapFiles(new MemorySnapDisk(), realTimers),
    transport: () => ({ send: () => "full", flush: () => {} }),
  };
}
