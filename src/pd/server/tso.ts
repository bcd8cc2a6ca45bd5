/**
 * Drives the timestamp allocator: real time, the tick, saving windows. The rules are in ../tso.
 */
import type { Clock } from "../../base/index.js";
import { type Kv, loadTimestamp, saveTimestamp } from "../storage/index.js";
import {
  TsoAllocator,
  type TsoAllocatorMetrics,
  type TsoAllocatorOptions,
  type TsoAnswer,
  type TsoEffects,
} from "../tso/index.js";

export interface TsoServiceOptions extends TsoAllocatorOptions {
  readonly updateIntervalMs: number;
}

type Reply = (answer: TsoAnswer) => void;

export class TsoService {
  private readonly allocator: TsoAllocator<Reply>;
  private readonly kv: Kv;
  private readonly clusterId: bigint;
  private readonly clock: Clock;
  private readonly updateIntervalMs: number;
  private readonly onFatal: (error: Error) => void;
  private timer: NodeJS.Timeout | undefined;
  private saving: Promise<void> = Promise.resolve();

  constructor(
    options: TsoServiceOptions,
    deps: { kv: Kv; clusterId: bigint; clock: Clock; onFatal: (error: Error) => void },
  ) {
    this.kv = deps.kv;
    this.clusterId = deps.clusterId;
    this.clock = deps.clock;
    this.onFatal = deps.onFatal;
    this.updateIntervalMs = options.updateIntervalMs;
    this.allocator = new TsoAllocator(loadTimestamp(deps.kv, deps.clusterId), options);
  }

  get metrics(): TsoAllocatorMetrics {
    return this.allocator.metrics;
  }

  /** Resolves when the first window is saved and timestamps can be given. */
  async start(): Promise<void> {
    this.perform(this.allocator.start(this.clock.nowMs()));
    await this.saving;
    this.timer = setInterval(() => {
      this.perform(this.allocator.tick(this.clock.nowMs()));
    }, this.updateIntervalMs);
  }

  /** Takes `count` timestamps; `reply` may be called before this returns. Replies keep order. */
  request(count: number, reply: Reply): void {
    this.perform(this.allocator.request(reply, count, this.clock.nowMs()));
  }

  /** Stops the tick and waits for a save in flight. Requests that wait are not answered. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.saving;
  }

  private perform(effects: TsoEffects<Reply>): void {
    for (const { token: reply, answer } of effects.answers) reply(answer);
    if (effects.save === undefined) return;
    const untilMs = effects.save;
    this.saving = saveTimestamp(this.kv, this.clusterId, untilMs).then(
      () => this.perform(this.allocator.saved(untilMs, this.clock.nowMs())),
      (error: Error) => this.onFatal(error),
    );
  }
}
