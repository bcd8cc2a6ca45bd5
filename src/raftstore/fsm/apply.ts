/**
 * Apply delegates as FSMs of their own batch system: messages in, one engine write a round out.
 * Not here: what an entry does (apply/delegate.ts), what follows from a write (apply/writer.ts).
 * Source: tikv raftstore/store/fsm/apply.rs ApplyFsm, ApplyPoller.
 *
 * A delegate that has a snapshot to take waits, outside of the batch, until what it applied is
 * written: then the engine holds exactly its state.
 */
import type { Clock } from "../../base/index.js";
import {
  type BatchConfig,
  type BatchMetrics,
  BatchSystem,
  type Fsm,
  type HandleResult,
  KEEP_PROCESSING,
  type PollHandler,
  type Priority,
  type Runner,
  type Slot,
  stopAt,
} from "../../batch/index.js";
import { APPLY_BATCH_BYTES_MAX, ApplyContext } from "../apply/context.js";
import {
  ApplyDelegate,
  type DelegateDeps,
  regionRemoved,
  STALE_COMMAND,
} from "../apply/delegate.js";
import type { ApplyMetrics } from "../apply/metrics.js";
import { ApplyWriter } from "../apply/writer.js";
import { confStateOf } from "../conf_state.js";
import type { EnginePort } from "../engine_port.js";
import { readRegionLocalState } from "../local_state.js";
import type { ApplyMsg, ApplyRegistration, PeerMsg } from "../messages.js";
import type { PendingCreates } from "../pending_create.js";
import { takeSnapshot } from "../snapshot/delete_range.js";
import type { GeneratedSnapshot, SnapshotManager, SnapshotTask } from "../snapshot/types.js";

export interface ApplySystemDeps {
  readonly storeId: bigint;
  readonly port: EnginePort;
  readonly creates: PendingCreates;
  readonly snapshots: Pick<SnapshotManager, "generate">;
  /** Sends to a peer beyond its mailbox's bound; lost if the peer is gone. */
  readonly notify: (regionId: number, message: PeerMsg) => void;
  readonly clock: Clock;
  readonly runner: Runner;
  readonly metrics: ApplyMetrics;
  readonly batchMetrics: BatchMetrics;
}

export interface ApplySystemOptions {
  readonly batch: BatchConfig;
  /** Bytes after which a region yields to others (apply-yield-write-size). */
  readonly yieldWriteSizeBytes: number;
}

/** A task with more bytes than this is applied in the low lane, beside the small ones. */
const LARGE_TASK_BYTES = 4 << 20;

/** One region's delegate behind its mailbox. */
export class ApplyFsm implements Fsm {
  delegate: ApplyDelegate;
  stopped = false;
  priority: Priority = "normal";
  /** Whether a snapshot waits for a write. */
  waiting = false;

  constructor(registration: ApplyRegistration, deps: DelegateDeps) {
    this.delegate = new ApplyDelegate(registration, deps);
  }
}

/** There is nothing to control; the batch system wants one. */
const CONTROL: Fsm = { stopped: false, priority: "normal" };

/** One lane's rounds. */
class ApplyPoller implements PollHandler<ApplyFsm, ApplyMsg, Fsm, never> {
  readonly #system: ApplySystem;
  readonly #ctx: ApplyContext;
  readonly #lane: Priority;

  constructor(system: ApplySystem, lane: Priority) {
    this.#system = system;
    this.#ctx = new ApplyContext(system.writer, system.deps.metrics);
    this.#lane = lane;
  }

  begin(): void {}

  handleControl(): HandleResult {
    return stopAt(0);
  }

  handleNormal(slot: Slot<ApplyFsm, ApplyMsg>): HandleResult {
    const { fsm } = slot;
    const { writer, options, deps } = this.#system;
    for (;;) {
      if (fsm.waiting) return stopAt(slot.pending);
      if (fsm.priority !== this.#lane) return KEEP_PROCESSING;
      if (fsm.delegate.hasEntries) {
        if (writer.isFull) {
          this.#ctx.flush();
          writer.waitForRoom(fsm.delegate.regionId);
          return stopAt(slot.pending);
        }
        const drained = fsm.delegate.run(this.#ctx, options.yieldWriteSizeBytes);
        if (this.#ctx.sizeBytes >= APPLY_BATCH_BYTES_MAX) this.#ctx.flush();
        if (!drained) {
          deps.metrics.yields++;
          return KEEP_PROCESSING;
        }
        fsm.priority = "normal";
        continue;
      }
      const message = slot.receive();
      if (message === undefined) return stopAt(0);
      this.#handle(fsm, message);
    }
  }

  lightEnd(): void {}

  end(): void {
    this.#ctx.flush();
  }

  pause(): void {}

  #handle(fsm: ApplyFsm, message: ApplyMsg): void {
    switch (message.kind) {
      case "registration":
        this.#register(fsm, message.registration);
        break;
      case "apply":
        this.#take(fsm, message);
        break;
      case "snapshot":
        this.#snapshot(fsm, message.task);
        break;
      case "destroy":
        this.#destroy(fsm);
        break;
    }
  }

  /** New state under the same address: what waits belongs to a log that is no more. */
  #register(fsm: ApplyFsm, registration: ApplyRegistration): void {
    for (const { done, result } of fsm.delegate.stop(STALE_COMMAND)) this.#ctx.answer(done, result);
    this.#ctx.flush();
    fsm.delegate = new ApplyDelegate(registration, this.#system.delegateDeps);
  }

  #take(fsm: ApplyFsm, { task }: Extract<ApplyMsg, { readonly kind: "apply" }>): void {
    if (fsm.delegate.removed) {
      const result = regionRemoved(task.regionId);
      for (const { done } of task.proposals) this.#ctx.answer(done, result);
      return;
    }
    fsm.delegate.take(task);
    let bytes = 0;
    for (const entry of task.entries) bytes += entry.data.length;
    if (bytes >= LARGE_TASK_BYTES) fsm.priority = "low";
  }

  #snapshot(fsm: ApplyFsm, { toPeerId }: SnapshotTask): void {
    const { delegate } = fsm;
    const { snapshots, notify, port } = this.#system.deps;
    fsm.waiting = true;
    this.#ctx.afterWritten(() => {
      fsm.waiting = false;
      const { regionId, region, applyState, appliedTerm } = delegate;
      const done = (result: GeneratedSnapshot): void => {
        notify(regionId, { kind: "snapshotGenerated", result });
      };
      const key = { regionId, term: appliedTerm, index: applyState.appliedIndex };
      const confState = confStateOf(region);
      const engineSnapshot = takeSnapshot(port);
      if (engineSnapshot === undefined) done({ toPeerId, snapshot: undefined });
      else snapshots.generate({ key, toPeerId, region, confState, engineSnapshot }, done);
      this.#system.resume(regionId);
    });
  }

  #destroy(fsm: ApplyFsm): void {
    const { regionId } = fsm.delegate;
    const answers = fsm.delegate.stop(regionRemoved(regionId));
    for (const { done, result } of answers) this.#ctx.answer(done, result);
    fsm.stopped = true;
    this.#ctx.afterWritten(() => this.#system.deps.notify(regionId, { kind: "applyDestroyed" }));
    this.#system.close(regionId);
  }
}

/** All delegates of a store. */
export class ApplySystem {
  readonly deps: ApplySystemDeps;
  readonly options: ApplySystemOptions;
  readonly writer: ApplyWriter;
  readonly delegateDeps: DelegateDeps;
  readonly #system: BatchSystem<number, ApplyFsm, ApplyMsg, Fsm, never>;

  constructor(options: ApplySystemOptions, deps: ApplySystemDeps) {
    this.options = options;
    this.deps = deps;
    const { storeId, creates, port, notify, clock, metrics } = deps;
    this.delegateDeps = {
      storeId,
      creates,
      hasRegionState: (id) => readRegionLocalState(port.engine, id) !== undefined,
    };
    const resume = (regionId: number): void => this.resume(regionId);
    this.writer = new ApplyWriter({ port, notify, resume, clock, metrics });
    this.#system = new BatchSystem(options.batch, {
      control: CONTROL,
      normal: new ApplyPoller(this, "normal"),
      low: new ApplyPoller(this, "low"),
      drops: {
        onDrop: (fsm, undelivered) => this.#onDrop(fsm, undelivered),
        onDropControl: () => {},
      },
      clock: deps.clock,
      runner: deps.runner,
      metrics: deps.batchMetrics,
    });
  }

  /** Delegates that have an address. */
  get size(): number {
    return this.#system.router.size;
  }

  /**
   * Sends to the delegate of a region; a registration makes it. Without a delegate proposals are
   * answered at once, and "destroy" is confirmed. Beyond the mailbox's bound: what a peer sends is
   * bounded by what Raft hands out before it is applied.
   */
  send(regionId: number, message: ApplyMsg): void {
    if (this.#system.router.forceSend(regionId, message) === "sent") return;
    if (message.kind !== "registration") {
      this.#undelivered(regionId, message);
      return;
    }
    this.#system.router.register(regionId, new ApplyFsm(message.registration, this.delegateDeps));
  }

  /** Wakes the delegate of a region, if there is one. */
  resume(regionId: number): void {
    this.#system.router.resume(regionId);
  }

  /** Takes the address of a delegate that has stopped. */
  close(regionId: number): void {
    this.#system.router.close(regionId);
  }

  /** Runs one round; for tests and simulators that call rounds themselves. */
  poll(): boolean {
    return this.#system.poll();
  }

  /** Applies what is ready, then answers everything that waits. Not inside a round. */
  shutdown(): void {
    this.#system.shutdown();
  }

  #onDrop(fsm: ApplyFsm, undelivered: readonly ApplyMsg[]): void {
    const { regionId } = fsm.delegate;
    for (const { done, result } of fsm.delegate.stop(regionRemoved(regionId))) done(result);
    for (const message of undelivered) this.#undelivered(regionId, message);
  }

  #undelivered(regionId: number, message: ApplyMsg): void {
    if (message.kind === "destroy") this.deps.notify(regionId, { kind: "applyDestroyed" });
    if (message.kind !== "apply") return;
    for (const { done } of message.task.proposals) done(regionRemoved(regionId));
  }
}
