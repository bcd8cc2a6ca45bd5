/** Safe points for PD's own leader of GC, which lives above PD since it is a client of stores. */
import { ok, type Result } from "../../base/index.js";
import { isExpired } from "../gc/index.js";
import { composeTs, type TsoAnswer } from "../tso/index.js";
import type { RaftCluster } from "./cluster.js";
import type { GcManager } from "./gc_manager.js";
import type { TsoService } from "./tso.js";

export interface PdGc {
  /** Whether a safe point has been moved by somebody else. */
  readonly isLedOutside: boolean;
  readonly isBootstrapped: boolean;
  /** A new timestamp; undefined when none can be had now. */
  now(): Promise<bigint | undefined>;
  /** Where the GC safe point is, and the timestamps that nothing may pass now. */
  state(): Promise<{ readonly gcSafePoint: bigint; readonly barriers: readonly bigint[] }>;
  /**
   * Moves both safe points to `target`, or as far as barriers let the first. Returns where the GC
   * safe point is, once that is on disk.
   */
  publish(target: bigint): Promise<Result<bigint, string>>;
}

const METHOD = "builtin gc leader";

/** Returns the face of a PD's safe points for its own leader. */
export function pdGc(cluster: RaftCluster, tso: TsoService, gc: GcManager): PdGc {
  return {
    get isLedOutside() {
      return gc.isLedOutside;
    },
    get isBootstrapped() {
      return cluster.bootstrapped;
    },
    now: async () => {
      const answer = await new Promise<TsoAnswer>((resolve) => tso.request(1, resolve));
      return answer.kind === "ok" ? composeTs(answer.timestamp) : undefined;
    },
    state: async () => {
      const { barriers, gcSafePoint, globalBarriers } = await gc.state();
      const { nowSeconds } = gc;
      const alive = [...barriers, ...globalBarriers].filter((one) => !isExpired(one, nowSeconds));
      return { gcSafePoint, barriers: alive.map(({ ts }) => ts) };
    },
    publish: async (target) => {
      let { txnSafePoint } = await gc.state();
      if (target > txnSafePoint) {
        const moved = await gc.advanceTxnSafePoint(target, "builtin", METHOD);
        if (!moved.ok) return moved;
        txnSafePoint = moved.value.now;
      }
      const reached = target < txnSafePoint ? target : txnSafePoint;
      const { gcSafePoint } = await gc.state();
      if (reached <= gcSafePoint) return ok(gcSafePoint);
      const moved = await gc.advanceGcSafePoint(reached, "builtin", METHOD);
      return moved.ok ? ok(moved.value.now) : moved;
    },
  };
}
