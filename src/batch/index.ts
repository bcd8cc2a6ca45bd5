export { BATCH_CONFIG_DEFAULT, type BatchConfig } from "./config.js";
export { type Fsm, PRIORITIES, type Priority } from "./fsm.js";
export type { Mailbox, SendResult, Slot } from "./mailbox.js";
export { BatchMetrics } from "./metrics.js";
export { type HandleResult, KEEP_PROCESSING, type PollHandler, stopAt } from "./poller.js";
export type { DropHandler, RouteResult, Router } from "./router.js";
export { BatchSystem, type BatchSystemParts, immediateRunner, type Runner } from "./system.js";
