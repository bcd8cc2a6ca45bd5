/** An engine snapshot that tells how much time its calls take; for shares, not for figures. */
import type { Snapshot } from "../../src/engine/index.js";

/** Nanoseconds spent in calls so far. */
export class CallClock {
  spentNs = 0;

  /** Returns `target` with every method and getter timed; results of `wrapped` methods as well. */
  timed<T extends object>(target: T, wrapped: readonly string[] = []): T {
    const measure = <R>(call: () => R): R => {
      const start = process.hrtime.bigint();
      const result = call();
      this.spentNs += Number(process.hrtime.bigint() - start);
      return result;
    };
    return new Proxy(target, {
      get: (_, name) => {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => {
          const result = measure(() => Reflect.apply(member, target, args) as unknown);
          return wrapped.includes(String(name)) ? this.timed(result as object) : result;
        };
      },
    });
  }
}

/** Returns a snapshot whose calls, and those of its iterators, count on `clock`. */
export function timedSnapshot(snapshot: Snapshot, clock: CallClock): Snapshot {
  return clock.timed<Snapshot>(snapshot, ["iterate" satisfies keyof Snapshot]);
}
