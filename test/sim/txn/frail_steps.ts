/**
 * What clients do that do not get through their commits: they leave locks behind that nobody meets
 * for long, come late with half of a transaction, and race with another one past a new leader.
 */
import type { Prng } from "../../../src/base/index.js";
import type { Frailty, TxnAccess, TxnChoice } from "./access.js";
import { EDGES, ENDED, leftBy } from "./keys.js";

export interface AppendStep {
  readonly key: string;
  readonly isRead: boolean;
}

/** How a transaction on lists is made. */
export interface AppendHow {
  readonly choice: Partial<TxnChoice>;
  /** Whether it is done by a client of its own that is not well. */
  readonly frailty?: Frailty;
  /** A key that is overwritten as well. */
  readonly also?: string;
  /** Between the last read and the commit. */
  readonly thinkUs?: number;
  /** Takes what was read. */
  readonly finals?: Map<string, number[]>;
}

export interface FrailDeps {
  readonly host: FrailHost;
  readonly access: TxnAccess;
  readonly prng: Prng;
  readonly shared: { nextValue: number; readonly left: string[] };
}

/** Above the life of a lock, which is 3 s. */
const LATE_MAX_US = 5_000_000;
/** Longer than a transfer of leadership. */
const RACE_US = 300_000;

/** The clock of a client's machine. */
interface FrailHost {
  afterUs(delayUs: number, action: () => void): unknown;
}

export function pause(host: FrailHost, us: number): Promise<void> {
  return new Promise((resolve) => {
    host.afterUs(us, () => resolve());
  });
}

export class FrailSteps {
  constructor(
    private readonly deps: FrailDeps,
    private readonly append: (steps: readonly AppendStep[], how: AppendHow) => Promise<boolean>,
  ) {}

  /** Resolves with whether it was committed. */
  anything(): Promise<boolean> {
    const { prng } = this.deps;
    const dice = prng.below(10);
    if (dice < 3) return this.leave();
    if (dice < 6) return this.race();
    const steps = EDGES.map((key) => ({ key, isRead: prng.ratio(1, 2) }));
    if (dice < 8) return this.append(steps, { choice: { isPessimistic: false } });
    return this.falter();
  }

  /**
   * Two keys in two regions, and a client that dies. The primary is written again soon, so that GC
   * may take what it says of the transaction; nobody looks at the other key before the end. Whoever
   * moves the safe point has to resolve it first, or it is taken for rolled back.
   */
  private leave(): Promise<boolean> {
    const { prng, shared } = this.deps;
    const key = leftBy(shared.nextValue);
    shared.left.push(key);
    return this.append([{ key, isRead: false }], {
      choice: { isPessimistic: false, useAsyncCommit: prng.ratio(1, 4), useOnePc: false },
      frailty: { kind: "dies", requests: prng.pick([1, 2, 3, 3, 3]) },
      also: prng.pick(ENDED),
    });
  }

  /** A part of a transaction comes when the rest may have been rolled back. */
  private falter(): Promise<boolean> {
    return this.append(
      EDGES.map((key) => ({ key, isRead: false })),
      {
        choice: { isPessimistic: false },
        frailty: { kind: "falters", lateMaxUs: LATE_MAX_US },
      },
    );
  }

  /**
   * Two transactions on one key: the second reads from one leader, then the first is prewritten at
   * another. Only a max_ts that covers that read keeps the first from committing below it, where
   * the second does not see it as a conflict.
   */
  private async race(): Promise<boolean> {
    const { access, host, prng } = this.deps;
    const [, key] = EDGES;
    const steps = [{ key, isRead: false }];
    const choice = { isPessimistic: false, useAsyncCommit: true };
    const first = this.append(steps, {
      choice,
      frailty: { kind: "falters", lateMaxUs: RACE_US },
    });
    await pause(host, prng.below(RACE_US / 3));
    const second = this.append(steps, { choice, thinkUs: RACE_US });
    await pause(host, prng.below(RACE_US / 10));
    access.moveLeader?.(key);
    return (await Promise.all([first, second])).some((isCommitted) => isCommitted);
  }
}
