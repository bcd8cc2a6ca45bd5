/**
 * The registry of a store's snapshots: what is being sent (send.ts), received, applied, and the
 * files that were received. Bounds all of it.
 * Source: tikv src/server/snap.rs, raftstore/store/snap.rs, store/worker/region.rs.
 */
import { assert, type Clock, type Logger, TikvError, type Timers } from "../../base/index.js";
import type { EnginePort } from "../engine_port.js";
import type { ReplicationOptions } from "../options.js";
import type { RaftMessage } from "../raft_message.js";
import type { RegionInfo } from "../region.js";
import { applySnapshot, spansOf } from "./apply.js";
import { deleteSpan } from "./delete_range.js";
import { parseSnapFileName, type SnapFiles, snapFileName } from "./files.js";
import { SnapshotMetrics } from "./metrics.js";
import { type KeySpan, RangeJobs } from "./range_jobs.js";
import { SnapshotReceiver } from "./receive.js";
import { OutgoingSnapshots } from "./send.js";
import { decodeSnapshotData } from "./snapshot_data.js";
import { Throttle } from "./throttle.js";
import type {
  AppliedSnapshot,
  ApplySnapshotTask,
  GeneratedSnapshot,
  GenerateRequest,
  SnapKey,
  SnapshotManager,
  SnapshotSink,
  SnapshotSource,
  SnapshotStats,
} from "./types.js";

export type SnapshotOptions = Pick<
  ReplicationOptions,
  | "concurrentSendSnapLimit"
  | "concurrentRecvSnapLimit"
  | "snapIoMaxBytesPerSec"
  | "snapMaxTotalSizeBytes"
>;

export interface SnapshotDeps {
  readonly port: EnginePort;
  readonly files: SnapFiles;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** The end of this store: the file of a region that needs it is damaged. */
  readonly onFatal: (error: TikvError) => void;
  /**
   * Returns a region of this store, other than `exceptRegionId`, that has or awaits data in the
   * span: what is deleted must belong to nobody else. Asked when work is ordered.
   */
  readonly ownerOf: (span: KeySpan, exceptRegionId: number | undefined) => number | undefined;
}

/** Applications and deletions that run side by side. A guess: one waits while the other reads. */
const RANGE_JOBS_MAX = 2;
/** A received snapshot that nobody applies goes after this time: TiKV's snap-gc-timeout. */
export const RECEIVED_KEPT_MS = 4 * 3_600_000;
const EXPIRY_CHECK_MS = 10_000;

/** See SnapshotManager. */
export class RegionSnapshots implements SnapshotManager {
  readonly metrics = new SnapshotMetrics();
  private readonly outgoing: OutgoingSnapshots;
  /** Names of the files that are being received. */
  private readonly receiving = new Set<string>();
  /** Whole files. */
  private readonly received = new Map<string, { readonly sizeBytes: number; atMs: number }>();
  private readonly applying = new Map<number, string>();
  private readonly jobs = new RangeJobs(RANGE_JOBS_MAX);
  private readonly receiveThrottle: Throttle;
  private cancelExpiry: (() => void) | undefined;

  constructor(
    private readonly options: SnapshotOptions,
    private readonly deps: SnapshotDeps,
  ) {
    const { clock, timers, files } = deps;
    this.outgoing = new OutgoingSnapshots(options, { ...deps, metrics: this.metrics });
    this.receiveThrottle = new Throttle(options.snapIoMaxBytesPerSec, clock, timers);
    for (const { name, sizeBytes } of files.list()) {
      if (parseSnapFileName(name) === undefined) continue;
      this.received.set(name, { sizeBytes, atMs: clock.monotonicMs() });
    }
    this.scheduleExpiry();
  }

  retain(needed: readonly SnapKey[]): void {
    const names = new Set(needed.map(snapFileName));
    for (const name of this.received.keys()) if (!names.has(name)) this.removeFile(name);
  }

  generate(request: GenerateRequest, done: (result: GeneratedSnapshot) => void): void {
    const result = this.outgoing.generate(request);
    this.scheduleExpiry();
    done(result);
  }

  open(key: SnapKey, toPeerId: number): SnapshotSource | undefined {
    return this.outgoing.open(key, toPeerId);
  }

  receive(message: RaftMessage): SnapshotSink | string {
    const result = this.startReceiving(message);
    if (typeof result === "string") {
      this.metrics.receive.refused++;
      this.deps.logger.warn("snapshot refused", { region_id: message.regionId, reason: result });
    }
    return result;
  }

  has(key: SnapKey): boolean {
    return this.received.has(snapFileName(key));
  }

  describe(
    data: Uint8Array,
  ): { readonly region: RegionInfo; readonly sizeBytes: number } | undefined {
    const result = decodeSnapshotData(data);
    return result.ok ? result.value : undefined;
  }

  apply(task: ApplySnapshotTask, done: (result: AppliedSnapshot) => void): void {
    const { key, region } = task;
    const name = snapFileName(key);
    const spans = spansOf(task);
    assert(BigInt(key.regionId) === region.id, "a snapshot's key names its region");
    assert(!this.applying.has(key.regionId), "a region applies one snapshot at a time");
    for (const span of spans) this.mustBeFree(span, key.regionId);
    this.applying.set(key.regionId, name);
    this.metrics.apply.start++;
    this.jobs.add(spans, (jobDone) => {
      const startMs = this.deps.clock.monotonicMs();
      const apply = {
        ...this.deps,
        openFile: () => this.deps.files.open(name),
        onDamage: (problem: string) => this.onDamage(task, problem),
      };
      applySnapshot(apply, task, () => {
        this.applying.delete(key.regionId);
        this.metrics.apply.success++;
        const seconds = (this.deps.clock.monotonicMs() - startMs) / 1000;
        this.metrics.applySeconds?.observe(seconds, { type: "apply" });
        done({ key, region });
        jobDone();
      });
    });
  }

  isApplying(regionId: number): boolean {
    return this.applying.has(regionId);
  }

  destroyRange(startKey: Uint8Array, endKey: Uint8Array, done: () => void): void {
    const span = { startKey, endKey };
    this.mustBeFree(span, undefined);
    this.jobs.add([span], (jobDone) => {
      deleteSpan(this.deps, span, () => {
        // First: what the caller notes about it stands before what comes into the range next.
        done();
        jobDone();
      });
    });
  }

  release(key: SnapKey): void {
    const name = snapFileName(key);
    assert(this.applying.get(key.regionId) !== name, "a snapshot is not released while it applies");
    this.outgoing.release(key);
    if (this.received.has(name)) this.removeFile(name);
  }

  stats(): SnapshotStats {
    return {
      sendingCount: this.outgoing.sendingCount,
      receivingCount: this.receiving.size,
      applyingCount: this.applying.size,
    };
  }

  /** Closes what is sent or waits for it; streams end early. The engine can close afterwards. */
  close(): void {
    this.cancelExpiry?.();
    this.outgoing.close();
  }

  private startReceiving(message: RaftMessage): SnapshotSink | string {
    const snapshot = message.message?.snapshot;
    if (snapshot == null) return "a snapshot stream begins with a snapshot message";
    const data = decodeSnapshotData(snapshot.data);
    if (!data.ok) return data.error;
    const { regionId } = message;
    const { region } = data.value;
    if (region.id !== BigInt(regionId)) return `snapshot data of region ${region.id}`;
    const key = { regionId, term: snapshot.metadata.term, index: snapshot.metadata.index };
    const name = snapFileName(key);
    const { concurrentRecvSnapLimit, snapMaxTotalSizeBytes } = this.options;
    if (this.receiving.has(name)) return "this snapshot is being received already";
    if (this.receiving.size >= concurrentRecvSnapLimit) {
      return `the number of received snapshots ${this.receiving.size} is at its limit`;
    }
    if (snapMaxTotalSizeBytes > 0 && this.receivedBytes() >= snapMaxTotalSizeBytes) {
      return `received snapshots take ${this.receivedBytes()} bytes, at the limit`;
    }
    this.receiving.add(name);
    const here = this.received.has(name);
    return new SnapshotReceiver(
      { key, region },
      {
        throttle: this.receiveThrottle,
        file: here ? undefined : this.deps.files.create(name),
        onEnd: (result) => this.onReceived(name, here, result),
      },
    );
  }

  private onReceived(
    name: string,
    wasHere: boolean,
    { good, sizeBytes }: { readonly good: boolean; readonly sizeBytes: number },
  ): void {
    this.receiving.delete(name);
    this.metrics.receivedBytes += sizeBytes;
    this.metrics.receive[good ? "success" : "fail"]++;
    if (!good || wasHere) return;
    this.received.set(name, { sizeBytes, atMs: this.deps.clock.monotonicMs() });
    this.scheduleExpiry();
  }

  private receivedBytes(): number {
    let sum = 0;
    for (const { sizeBytes } of this.received.values()) sum += sizeBytes;
    return sum;
  }

  private removeFile(name: string): void {
    this.received.delete(name);
    this.deps.files.remove(name);
  }

  private mustBeFree(span: KeySpan, exceptRegionId: number | undefined): void {
    const owner = this.deps.ownerOf(span, exceptRegionId);
    assert(owner === undefined, `data to be deleted belongs to region ${owner}`);
  }

  private onDamage({ key }: ApplySnapshotTask, problem: string): void {
    this.metrics.apply.fail++;
    const file = `${this.deps.files.where}/${snapFileName(key)}`;
    const text = `the snapshot file ${file} of region ${key.regionId} is damaged: ${problem}`;
    this.deps.onFatal(new TikvError("RUTILE:Snapshot:Damaged", text));
  }

  /** One timer, while there is something that can expire. */
  private scheduleExpiry(): void {
    if (this.cancelExpiry !== undefined) return;
    if (this.outgoing.size + this.received.size === 0) return;
    this.cancelExpiry = this.deps.timers.after(EXPIRY_CHECK_MS, () => {
      this.cancelExpiry = undefined;
      this.expire(this.deps.clock.monotonicMs());
      this.scheduleExpiry();
    });
  }

  private expire(nowMs: number): void {
    this.outgoing.expire(nowMs);
    const applying = new Set(this.applying.values());
    for (const [name, file] of [...this.received]) {
      if (!applying.has(name) && nowMs - file.atMs >= RECEIVED_KEPT_MS) this.removeFile(name);
    }
  }
}
