/**
 * The ordered stop of a process. What was started last stops first; all of it within one grace
 * period. The first SIGTERM or SIGINT drains, a second one exits at once.
 */
import type { Logger } from "../base/index.js";

interface Step {
  readonly name: string;
  readonly stop: () => Promise<void>;
}

/** Exit code of a process that a signal ended, as shells report it. */
const SIGNAL_EXIT: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 };

export class Shutdown {
  readonly #steps: Step[] = [];
  readonly #logger: Logger;
  readonly #graceMs: number;
  #running: Promise<boolean> | undefined;

  /** `graceMs`: how long all steps together may take. */
  constructor(logger: Logger, graceMs: number) {
    this.#logger = logger;
    this.#graceMs = graceMs;
  }

  /** Adds a step that will run before all steps added earlier. */
  add(name: string, stop: () => Promise<void>): void {
    this.#steps.push({ name, stop });
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Runs the steps once; returns whether all of them ended well and in time. */
  run(): Promise<boolean> {
    this.#running ??= this.#runSteps();
    return this.#running;
  }

  async #runSteps(): Promise<boolean> {
    let current = "";
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), this.#graceMs);
    });
    const work = async (): Promise<boolean> => {
      let clean = true;
      for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
        current = step.name;
        try {
          await step.stop();
        } catch (error) {
          clean = false;
          this.#logger.error("stop step failed", { step: step.name }, error);
        }
      }
      return clean;
    };
    const outcome = await Promise.race([work(), deadline]);
    clearTimeout(timer);
    if (outcome !== "late") return outcome;
    this.#logger.error("stop took too long", { step: current, grace_ms: this.#graceMs });
    return false;
  }
}

export interface SignalHandlers {
  /** Called before the first step of the stop. */
  readonly onStop: () => void;
  readonly onHangup: () => void;
}

/**
 * Handles SIGTERM and SIGINT for the rest of the process's life: the first one runs `shutdown` and
 * exits 0 (1 if a step failed or was late), the next one exits at once. SIGHUP calls `onHangup`.
 */
export function handleSignals(shutdown: Shutdown, logger: Logger, on: SignalHandlers): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isStopping) {
      logger.warn("second signal, exiting at once", { signal });
      process.exit(SIGNAL_EXIT[signal] ?? 1);
    }
    isStopping = true;
    logger.info("stopping", { signal });
    on.onStop();
    void shutdown.run().then((clean) => {
      logger.info("stopped", { clean });
      process.exit(clean ? 0 : 1);
    });
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", on.onHangup);
}
