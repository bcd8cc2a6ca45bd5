/** What the two halves of a turn work with. */
import type { Logger } from "../base/index.js";
import type { Kernels } from "../kernel/index.js";
import type { Storage } from "../storage/index.js";
import type { AckBatch } from "./batch_acks.js";
import type { ColdPath } from "./batch_cold.js";
import type { Health } from "./health.js";
import type { BatchCounters } from "./metrics.js";

export interface TurnDeps {
  readonly kernels: Kernels;
  readonly storage: Storage;
  readonly cold: ColdPath;
  readonly health: Health;
  readonly counters: BatchCounters;
  readonly logger: Logger;
  readonly requestsMax: number;
  /** Called with writes that are synced and wait for the next turn to be answered. */
  readonly onAcks: (acks: AckBatch) => void;
}
