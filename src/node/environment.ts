/**
 * What every role of a process shares: log, metrics, clock, the ordered stop, and the ways in which
 * the process ends. Built once, before any role.
 */
import { type Clock, setKeyRedaction } from "../base/index.js";
import type { LogOptions } from "../config/index.js";
import { createLogger, type RootLogger } from "./logger.js";
import { PromMetrics } from "./metrics.js";
import type { ReadyInfo } from "./ready_file.js";
import { REAL_CLOCK } from "./real_clock.js";
import { handleSignals, Shutdown } from "./shutdown.js";
import { warnOfLimits } from "./startup_checks.js";

/** What the command line says beside configuration keys. */
export interface RunOptions {
  /** No disk: engines in memory. */
  readonly memory: boolean;
  readonly portRetry: boolean;
  readonly readyFile: string | undefined;
  /** Whether the end of standard input stops the process as SIGTERM does: its parent is gone. */
  readonly stopWithStdin: boolean;
  /** Called once requests are served; `seconds` since the start of the process. */
  readonly onReady: (info: ReadyInfo, seconds: number) => void;
  /** Tells a failure in one line and exits 1; never returns. */
  readonly onFatal: (error: unknown) => never;
}

export interface Environment {
  readonly logger: RootLogger;
  readonly clock: Clock;
  readonly metrics: PromMetrics;
  readonly shutdown: Shutdown;
  /** Aborted when the stop begins; ends waits of the start. */
  readonly signal: AbortSignal;
  readonly options: RunOptions;
  /** Logs and ends the process with exit code 1: an engine error, a refusal by PD, a bug. */
  fatal(error: unknown): void;
}

/** Builds the environment of a member that shares its process with others: no signals, own metrics. */
export function memberEnvironment(
  logger: RootLogger,
  graceMs: number,
  onFatal: (error: unknown) => void,
): Environment {
  const shutdown = new Shutdown(logger, graceMs);
  const { signal } = shutdown;
  const options: RunOptions = {
    memory: false,
    portRetry: false,
    readyFile: undefined,
    stopWithStdin: false,
    onReady: () => undefined,
    onFatal: (error) => {
      throw error;
    },
  };
  const fatal = (error: unknown): void => {
    if (!shutdown.isRunning) onFatal(error);
  };
  const metrics = new PromMetrics();
  return { logger, clock: REAL_CLOCK, metrics, shutdown, signal, options, fatal };
}

export interface EnvironmentOptions {
  readonly log: LogOptions;
  readonly redactKeys: boolean;
  /** How long a stop may take. */
  readonly graceMs: number;
}

/** Builds the environment and takes over signals and uncaught errors of the process. */
export function openEnvironment(options: EnvironmentOptions, run: RunOptions): Environment {
  const logger = createLogger(options.log, REAL_CLOCK);
  setKeyRedaction(options.redactKeys);
  const metrics = new PromMetrics();
  metrics.addProcessMetrics();
  const shutdown = new Shutdown(logger, options.graceMs);
  handleSignals(shutdown, logger, () => logger.reopen());
  if (run.stopWithStdin) {
    process.stdin.on("end", () => process.emit("SIGTERM"));
    process.stdin.resume();
  }
  const fatal = (error: unknown): void => {
    // While stopping, what breaks is a consequence; the stop tells its own failures.
    if (shutdown.isRunning) {
      logger.warn("error while stopping", {}, error);
      return;
    }
    logger.error("fatal error, exiting", {}, error);
    run.onFatal(error);
  };
  process.on("uncaughtException", fatal);
  process.on("unhandledRejection", fatal);
  warnOfLimits(logger);
  const { signal } = shutdown;
  return { logger, clock: REAL_CLOCK, metrics, shutdown, signal, options: run, fatal };
}
