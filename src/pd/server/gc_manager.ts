/**
 * GC's safe points and barriers: the rules of ../gc applied to what arrives, and persisted. Every
 * answer, also to a reader, waits until the state it tells is on disk.
 *
 * It also knows who leads GC. PD's own leader (node/gc_leader.ts) runs until a safe point is moved
 * from outside; then it stays off, restarts included, until somebody says otherwise.
 */
import { type Clock, type Logger, ok, type Result, utf8, utf8Decode } from "../../base/index.js";
import {
  advanceGcSafePoint,
  advanceTxnSafePoint,
  type BarrierKind,
  type BarrierRequest,
  type Blocker,
  deleteBarrier,
  GC_WORKER_SERVICE_ID,
  type GcBarrier,
  type GcState,
  type MinStartTs,
  type ServiceSafePointRequest,
  setBarrier,
  updateGcSafePoint,
  updateServiceSafePoint,
} from "../gc/index.js";
import {
  type EtcdStore,
  externalGcLeaderChange,
  gcStateChanges,
  type Kv,
  type KvChange,
  loadExternalGcLeader,
  loadGcState,
} from "../storage/index.js";
import type { Saves } from "./saves.js";

/** Where older clients read the txn safe point. */
const SAVED_SAFE_POINT_KEY = utf8("/tidb/store/gcworker/saved_safe_point");
/** Below it SQL nodes report the oldest transaction that they keep open. */
const MIN_START_TS_PREFIX = utf8("/tidb/server/minstartts/");
const MIN_START_TS_END = utf8("/tidb/server/minstartts0");

/** Who moves a safe point: PD's own leader, or somebody else. */
export type GcCaller = "builtin" | "external";

export interface GcManagerDeps {
  readonly kv: Kv;
  readonly etcd: EtcdStore;
  readonly saves: Saves;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface SafePointMove {
  readonly old: bigint;
  readonly now: bigint;
}

export interface TxnSafePointMove extends SafePointMove {
  readonly blocker: Blocker | undefined;
}

export class GcManager {
  private current: GcState;
  private external: boolean;

  /** Loads what the directory holds. Err KV:Engine:Codec thrown for damaged records. */
  constructor(
    private readonly clusterId: bigint,
    private readonly deps: GcManagerDeps,
  ) {
    this.current = loadGcState(deps.kv, clusterId);
    this.external = loadExternalGcLeader(deps.kv, clusterId);
  }

  /** What is decided; it may not be on disk yet. For metrics. */
  get unsettled(): GcState {
    return this.current;
  }

  /** Whether somebody outside leads GC. */
  get isLedOutside(): boolean {
    return this.external;
  }

  /** Seconds since the Unix epoch; barriers are counted in them. */
  get nowSeconds(): bigint {
    return BigInt(Math.floor(this.deps.clock.nowMs() / 1000));
  }

  /** Returns the state, once it is on disk. */
  async state(): Promise<GcState> {
    const state = this.current;
    await this.deps.saves.settled();
    return state;
  }

  /** Moves the txn safe point as far as `target`; see ../gc. */
  async advanceTxnSafePoint(
    target: bigint,
    caller: GcCaller,
    method: string,
  ): Promise<Result<TxnSafePointMove, string>> {
    const old = this.current.txnSafePoint;
    const { nowSeconds } = this;
    const moved = advanceTxnSafePoint(this.current, target, this.minStartTs(), nowSeconds);
    if (!moved.ok) return this.refused(method, moved);
    const { blocker, next } = moved.value;
    if (target > old) this.noteCaller(caller, method);
    await this.become(next, method);
    return ok({ old, now: next.txnSafePoint, blocker });
  }

  /** Moves the GC safe point to `target`; see ../gc. */
  async advanceGcSafePoint(
    target: bigint,
    caller: GcCaller,
    method: string,
  ): Promise<Result<SafePointMove, string>> {
    const old = this.current.gcSafePoint;
    const moved = advanceGcSafePoint(this.current, target);
    if (!moved.ok) return this.refused(method, moved);
    if (target > old) this.noteCaller(caller, method);
    await this.become(moved.value, method);
    return ok({ old, now: target });
  }

  /** The older way to move the GC safe point. Returns where it is now. */
  async updateGcSafePoint(target: bigint): Promise<bigint> {
    const method = "UpdateGCSafePoint";
    if (target > this.current.gcSafePoint) this.noteCaller("external", method);
    const next = updateGcSafePoint(this.current, target, this.minStartTs(), this.nowSeconds);
    await this.become(next, method);
    return next.gcSafePoint;
  }

  /** Updates a service's safe point. Returns the least one, and which service's it is. */
  async updateServiceSafePoint(
    request: ServiceSafePointRequest,
  ): Promise<Result<{ serviceId: string; ts: bigint }, string>> {
    const method = "UpdateServiceGCSafePoint";
    const isLeader = request.serviceId === GC_WORKER_SERVICE_ID;
    const old = this.current.txnSafePoint;
    // A new barrier holds no shorter than was asked for; an old one expires no earlier.
    const nowSeconds = isLeader ? this.nowSeconds : this.nowSeconds + 1n;
    const updated = updateServiceSafePoint(this.current, request, this.minStartTs(), nowSeconds);
    if (!updated.ok) return this.refused(method, updated);
    if (isLeader && request.ts > old) this.noteCaller("external", method);
    const { next, serviceId, ts } = updated.value;
    await this.become(next, method);
    return ok({ serviceId, ts });
  }

  /** Sets a barrier, or moves one. */
  async setBarrier(request: BarrierRequest): Promise<Result<GcBarrier, string>> {
    // Rounded up: it holds no shorter than was asked for.
    const set = setBarrier(this.current, request, this.nowSeconds + 1n);
    if (!set.ok) return this.refused("SetGCBarrier", set);
    await this.become(set.value.next, "SetGCBarrier");
    return ok(set.value.barrier);
  }

  /** Removes a barrier. Returns what was removed. */
  async deleteBarrier(
    kind: BarrierKind,
    id: string,
  ): Promise<Result<GcBarrier | undefined, string>> {
    const deleted = deleteBarrier(this.current, kind, id);
    if (!deleted.ok) return this.refused("DeleteGCBarrier", deleted);
    await this.become(deleted.value.next, "DeleteGCBarrier");
    return ok(deleted.value.barrier);
  }

  /**
   * Says who leads GC from now on: PD itself, or somebody outside. `by` is what shows it, for the
   * log and for people who look at the directory.
   */
  async setLeader(leader: GcCaller, by: string): Promise<void> {
    this.noteCaller(leader === "external" ? leader : "builtin", by, leader === "builtin");
    await this.deps.saves.settled();
  }

  /**
   * To be called when a client has put a key over the etcd API. Older GC leaders keep the txn safe
   * point in a key and no more: it moves with that key, forward only.
   */
  onEtcdPut(key: Uint8Array, value: Uint8Array): void {
    if (Buffer.compare(key, SAVED_SAFE_POINT_KEY) !== 0) return;
    const text = utf8Decode(value);
    if (!/^[0-9]{1,20}$/.test(text)) return;
    const target = BigInt.asUintN(64, BigInt(text));
    if (target <= this.current.txnSafePoint) return;
    const method = "saved_safe_point";
    this.noteCaller("external", method);
    const { nowSeconds } = this;
    const moved = advanceTxnSafePoint(this.current, target, this.minStartTs(), nowSeconds);
    // Nobody waits for it here: the put that brought it, and every reader, waits for the disk.
    if (moved.ok) this.become(moved.value.next, method, false).catch(() => {});
  }

  private refused(method: string, refusal: { ok: false; error: string }) {
    this.deps.logger.warn("gc request refused", { method, reason: refusal.error });
    return refusal;
  }

  /** Takes the next state and writes what is new in it; `mirror` shows older clients the same. */
  private async become(next: GcState, method: string, mirror = true): Promise<void> {
    const { etcd, logger, saves } = this.deps;
    const before = this.current;
    this.current = next;
    const changes: KvChange[] = gcStateChanges(this.clusterId, before, next);
    if (before.txnSafePoint !== next.txnSafePoint) {
      logger.info("txn safe point advanced", { method, ts: next.txnSafePoint });
      if (mirror) etcd.put(SAVED_SAFE_POINT_KEY, utf8(next.txnSafePoint.toString()));
      changes.push(...etcd.commit());
    }
    if (before.gcSafePoint !== next.gcSafePoint) {
      logger.info("gc safe point advanced", { method, ts: next.gcSafePoint });
    }
    await saves.save(changes);
  }

  private noteCaller(caller: GcCaller, by: string, force = false): void {
    const external = caller === "external";
    // What PD's own leader does says nothing about who else leads.
    if (external === this.external || (!external && !force)) return;
    this.external = external;
    const word = external ? "gc is led from outside, pd's own gc leader is off" : "pd leads gc";
    this.deps.logger.warn(word, { by });
    const change = externalGcLeaderChange(this.clusterId, external ? by : undefined);
    // A failed write was reported as fatal; whoever answers waits for it.
    this.deps.saves.save([change]).catch(() => {});
  }

  private minStartTs(): MinStartTs | undefined {
    let least: MinStartTs | undefined;
    for (const { key, value } of this.deps.etcd.range(MIN_START_TS_PREFIX, MIN_START_TS_END)) {
      const text = utf8Decode(value);
      // What cannot be read might be anything: it holds the safe point where it is.
      const ts = /^[0-9]{1,20}$/.test(text) ? BigInt(text) : 1n;
      const owner = utf8Decode(key.subarray(MIN_START_TS_PREFIX.length));
      if (least === undefined || ts < least.ts) least = { owner, ts };
    }
    return least;
  }
}
