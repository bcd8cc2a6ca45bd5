/**
 * Virtual time: one binary heap of events keyed (time, sequence number). An event runs to its end,
 * promises of production code included, before the next one starts, so the order of everything
 * follows from the seed. Times are integer microseconds since the start of the run.
 */
import { assert } from "../../src/base/index.js";

/** A planned call. `cancel` makes it a no-op. */
export class SimEvent {
  readonly timeUs: number;
  readonly seq: number;
  private action: (() => void) | undefined;

  constructor(timeUs: number, seq: number, action: () => void) {
    this.timeUs = timeUs;
    this.seq = seq;
    this.action = action;
  }

  cancel(): void {
    this.action = undefined;
  }

  /** Runs the action once. */
  fire(): void {
    const { action } = this;
    this.action = undefined;
    action?.();
  }

  get isLive(): boolean {
    return this.action !== undefined;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.timeUs < b.timeUs || (a.timeUs === b.timeUs && a.seq < b.seq);
}

/** The real one: inside a run the global one is a trap. */
const afterPromises = setImmediate;

/** Waits until every promise that can settle has settled. */
function drainPromises(): Promise<void> {
  return new Promise((resolve) => {
    afterPromises(resolve);
  });
}

/** The virtual event loop. */
export class SimLoop {
  /** Time of the event that runs. */
  nowUs = 0;
  /** Whose turn the current event ran, if anybody's. */
  touched: object | undefined;
  /** Events that ran. */
  fired = 0;
  private seq = 0;
  private readonly heap: SimEvent[] = [];
  private failure: { readonly error: unknown } | undefined;
  private stopped = false;
  private readonly drained: (() => void)[] = [];

  /** Plans `action` for `timeUs`, which is not in the past. */
  at(timeUs: number, action: () => void): SimEvent {
    assert(timeUs >= this.nowUs, "events are planned for now or later");
    const event = new SimEvent(Math.floor(timeUs), ++this.seq, action);
    this.push(event);
    return event;
  }

  /** Plans `action` `delayUs` from now. */
  after(delayUs: number, action: () => void): SimEvent {
    return this.at(this.nowUs + delayUs, action);
  }

  /** Ends the run with an error that was found outside of an event's call chain. */
  fail(error: unknown): void {
    this.failure ??= { error };
  }

  /** Plans `action` for the end of this event, when its promises are through. */
  whenDrained(action: () => void): void {
    this.drained.push(action);
  }

  /** Ends the run after the current event. */
  stop(): void {
    this.stopped = true;
  }

  /**
   * Runs events up to `untilUs`, and `afterEach` when an event and its promises are through.
   * Rejects with what an event threw, or what `fail` was given.
   */
  async run(untilUs: number, afterEach: () => void): Promise<void> {
    this.stopped = false;
    while (!this.stopped) {
      const event = this.heap[0];
      if (event === undefined || event.timeUs > untilUs) break;
      this.pop();
      if (!event.isLive) continue;
      this.nowUs = event.timeUs;
      this.fired++;
      this.touched = undefined;
      event.fire();
      await drainPromises();
      for (const action of this.drained.splice(0)) action();
      if (this.failure !== undefined) throw this.failure.error;
      afterEach();
    }
    if (!this.stopped) this.nowUs = Math.max(this.nowUs, untilUs);
  }

  private push(event: SimEvent): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!isBefore(event, heap[parent] as SimEvent)) break;
      heap[at] = heap[parent] as SimEvent;
      at = parent;
    }
    heap[at] = event;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop() as SimEvent;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && isBefore(heap[right] as SimEvent, heap[child] as SimEvent)) {
        child = right;
      }
      if (!isBefore(heap[child] as SimEvent, last)) break;
      heap[at] = heap[child] as SimEvent;
      at = child;
    }
    heap[at] = last;
  }
}
