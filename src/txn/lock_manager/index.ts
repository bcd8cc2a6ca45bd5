export { DetectTable } from "./deadlock.js";
export {
  DETECTOR_DEFAULTS,
  type DeadlockRequest,
  type DeadlockTransport,
  Detector,
  type DetectorMetrics,
  type DetectorOptions,
  type DetectorRole,
} from "./detector.js";
export {
  type DeadlockDetector,
  type DeadlockFound,
  type LockWait,
  type LockWaitEffect,
  type LockWaitToken,
  lockWaitAnswer,
} from "./lock_wait.js";
export { LOCK_MANAGER_DEFAULTS, LockManager, type LockManagerOptions } from "./waiter_manager.js";
