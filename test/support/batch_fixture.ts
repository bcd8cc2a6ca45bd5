/** A batch system whose FSMs run scripts: what each turn does is a function of the test. */
import {
  BATCH_CONFIG_DEFAULT,
  type BatchConfig,
  BatchMetrics,
  BatchSystem,
  type Fsm,
  type HandleResult,
  KEEP_PROCESSING,
  type PollHandler,
  type Priority,
  type Runner,
  type Slot,
  stopAt,
} from "../../src/batch/index.js";

export type TestSlot = Slot<TestFsm, number>;

/** Takes all messages of its share, unless the test gives it another turn. */
export class TestFsm implements Fsm {
  stopped = false;
  priority: Priority = "normal";
  readonly seen: number[] = [];
  turns = 0;
  undelivered: readonly number[] | undefined;
  readonly name: string;
  turn: (slot: TestSlot) => HandleResult;

  constructor(name: string, turn: (slot: TestSlot) => HandleResult = takeAll) {
    this.name = name;
    this.turn = turn;
  }
}

/** Takes one message; returns it. */
export function takeOne(slot: TestSlot): number | undefined {
  const message = slot.receive();
  if (message !== undefined) slot.fsm.seen.push(message);
  return message;
}

/** Takes what the round lets it. */
export function takeAll(slot: TestSlot): HandleResult {
  while (takeOne(slot) !== undefined);
  return slot.pending > 0 ? KEEP_PROCESSING : stopAt(0);
}

/** Hooks into the parts of a round. */
export interface RoundHooks {
  begin?(): void;
  lightEnd?(batch: readonly TestSlot[]): void;
  end?(batch: readonly TestSlot[]): void;
}

/** The batch system of a test, its log and its clock. */
export class BatchFixture {
  readonly log: string[] = [];
  readonly metrics = new BatchMetrics();
  readonly control = new TestFsm("control");
  readonly system: BatchSystem<number, TestFsm, number, TestFsm, number>;
  readonly deferred: (() => void)[] = [];
  hooks: RoundHooks = {};
  nowMs = 0;

  constructor(config: Partial<BatchConfig> = {}) {
    const runner: Runner = { defer: (callback) => void this.deferred.push(callback) };
    this.system = new BatchSystem<number, TestFsm, number, TestFsm, number>(
      { ...BATCH_CONFIG_DEFAULT, ...config },
      {
        control: this.control,
        normal: this.#handler("normal"),
        low: this.#handler("low"),
        drops: {
          onDrop: (fsm, undelivered) => this.#dropped(fsm, undelivered),
          onDropControl: (fsm, undelivered) => this.#dropped(fsm, undelivered),
        },
        clock: { nowMs: () => this.nowMs, monotonicMs: () => this.nowMs },
        runner,
        metrics: this.metrics,
      },
    );
  }

  add(address: number, turn?: (slot: TestSlot) => HandleResult): TestFsm {
    const fsm = new TestFsm(`${address}`, turn);
    this.system.router.register(address, fsm);
    return fsm;
  }

  /** Runs rounds until nothing is ready; returns how many. */
  settle(roundsMax = 1000): number {
    let rounds = 0;
    while (this.system.poll()) {
      if (++rounds > roundsMax) throw new Error(`not settled after ${roundsMax} rounds`);
    }
    return rounds;
  }

  /** Runs what the runner got, once. */
  runDeferred(): void {
    for (const callback of this.deferred.splice(0)) callback();
  }

  #dropped(fsm: TestFsm, undelivered: readonly number[]): void {
    if (fsm.undelivered !== undefined) throw new Error(`${fsm.name} was dropped twice`);
    fsm.undelivered = undelivered;
    this.log.push(`drop ${fsm.name}`);
  }

  #handler(lane: Priority): PollHandler<TestFsm, number, TestFsm, number> {
    const turn = (slot: TestSlot): HandleResult => {
      this.log.push(slot.fsm.name);
      slot.fsm.turns++;
      return slot.fsm.turn(slot);
    };
    const names = (batch: readonly TestSlot[]): string => batch.map(({ fsm }) => fsm.name).join();
    return {
      begin: (max) => {
        this.log.push(`begin ${lane} ${max}`);
        this.hooks.begin?.();
      },
      handleControl: turn,
      handleNormal: turn,
      lightEnd: (batch) => {
        this.log.push(`light ${names(batch)}`);
        this.hooks.lightEnd?.(batch);
      },
      end: (batch) => {
        this.log.push(`end ${names(batch)}`);
        this.hooks.end?.(batch);
      },
      pause: () => void this.log.push("pause"),
    };
  }
}
