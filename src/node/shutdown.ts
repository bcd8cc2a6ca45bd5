/**
 * The ordered stop of a process. What was started last stops first; all of it within one grace
 * period. The first SIGTERM or SIGINT drains, a second one exits at once.
 *
 * Invariant: what was added is stopped, also when it was started while the stop was under way or
 * over: a start that goes on then leaves nothing open.
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
  readonly #stopping = new AbortController();
  #running: Promise<boolean> | undefined;
  #isOver = false;

  /** `graceMs`: how long all steps together may take. */
  constructor(logger: Logger, graceMs: number) {
    this.#logger = logger;
    this.#graceMs = graceMs;
  }

  /** Aborted when the stop begins. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /**
   * Adds a step that will run before all steps added earlier. When the stop is over already, it runs
   * the step at once and throws the signal's reason: whoever starts something must not go on.
   */
  add(name: string, stop: () => Promise<void>): void {
    if (this.#isOver) {
      void this.#runStep({ name, stop });
      throw this.signal.reason;
    }
    this.#steps.push({ name, stop });
  }

  /** Whether the stop has begun; it may be over. */
  get isRunning(): boolean {
    return this.signal.aborted;
  }

  /** Runs the steps once; returns whether all of them ended well and in time. */
  run(): Promise<boolean> {
    this.#stopping.abort(new Error("the process is stopping"));
    this.#running ??= this.#runSteps();
    return this.#running;
  }

  /** Returns whether the step ended well. */
  async #runStep({ name, stop }: Step): Promise<boolean> {
    try {
      await stop();
      return true;
    } catch (error) {
      this.#logger.error("stop step failed", { step: name }, error);
      return false;
    }
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
        clean = (await this.#runStep(step)) && clean;
      }
      this.#isOver = true;
      return clean;
    };
    const outcome = await Promise.race([work(), deadline]);
    clearTimeout(timer);
    if (outcome !== "late") return outcome;
    this.#logger.error("stop took too long", { step: current, grace_ms: this.#graceMs });
    return false;
  }
}

/**
 * Handles SIGTERM and SIGINT for the rest of the process's life: the first one runs `shutdown` and
 * exits 0 (1 if a step failed or was late), the next one exits at once. SIGHUP calls `onHangup`.
 */
export function handleSignals(shutdown: Shutdown, logger: Logger, onHangup: () => void): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isStopping) {
      logger.warn("second signal, exiting at once", { signal });
      process.exit(SIGNAL_EXIT[signal] ?? 1);
    }
    isStopping = true;
    logger.info("stopping", { signal });
    void shutdown.run().then((clean) => {
      logger.info("stopped", { clean });
      process.exit(clean ? 0 : 1);
    });
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", onHangup);
}
