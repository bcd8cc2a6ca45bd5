/**
 * Up to which timestamp each replica here holds everything that is committed: what leaders have told,
 * once the replica has applied as far as the leader had. Pure.
 * Source: tikv components/raftstore/src/store/util.rs RegionReadProgress.
 */

/** A replica that has applied `appliedIndex` holds all that is committed at or below `safeTs`. */
export interface ReadState {
  readonly appliedIndex: number;
  readonly safeTs: bigint;
}

/** The part of a peer that is asked here. */
export interface AppliedPeer {
  readonly regionId: number;
  readonly applied: number;
}

interface Progress {
  safeTs: bigint;
  /** Ahead of what is applied here, ascending in both fields. */
  waiting: ReadState[];
}

/** States that wait for one replica; over it the newest replaces the one before. */
const WAITING_MAX = 64;

export class ReadProgress {
  readonly #regions = new Map<number, Progress>();

  /** Takes what a region's leader says. What it said before, and is newer, stands. */
  advance(regionId: number, state: ReadState): void {
    const progress = this.#regions.get(regionId) ?? { safeTs: 0n, waiting: [] };
    this.#regions.set(regionId, progress);
    const { waiting } = progress;
    const last = waiting.at(-1);
    if (state.safeTs <= (last?.safeTs ?? progress.safeTs)) return;
    // A state that asks for less and promises more makes those before it useless.
    while ((waiting.at(-1)?.appliedIndex ?? -1) >= state.appliedIndex) waiting.pop();
    if (waiting.length >= WAITING_MAX) waiting.pop();
    waiting.push(state);
  }

  /** Returns the timestamp up to which a replica may answer; 0n = none is known. */
  safeTs({ regionId, applied }: AppliedPeer): bigint {
    const progress = this.#regions.get(regionId);
    if (progress === undefined) return 0n;
    const { waiting } = progress;
    let taken = 0;
    for (; taken < waiting.length; taken++) {
      const state = waiting[taken] as ReadState;
      if (state.appliedIndex > applied) break;
      progress.safeTs = state.safeTs;
    }
    waiting.splice(0, taken);
    return progress.safeTs;
  }

  /** Forgets regions without a replica here. */
  retain(isHere: (regionId: number) => boolean): void {
    for (const regionId of this.#regions.keys()) {
      if (!isHere(regionId)) this.#regions.delete(regionId);
    }
  }
}
