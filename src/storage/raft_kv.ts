/**
 * KvEngine over raftstore. A read is answered in its turn while the leader holds its lease, else
 * when the log has confirmed it; a write is admitted, proposed, and answered when it is applied,
 * and so durable on a quorum.
 *
 * Invariant: the writes of one region are handed to its peer in the order of `write` and
 * `writeBytes` calls, `exclusive` sections included; only writes that flow control holds back can be
 * overtaken.
 * Source: tikv src/server/raftkv/mod.rs, raftstore/store/worker/read.rs.
 */
import { ok } from "../base/index.js";
import { dataKey } from "../codec/index.js";
import { type Engine, representationCount, type WriteBatch } from "../engine/index.js";
import {
  type CommandResult,
  checkRequest,
  type ReadDelegate,
  type RegionError,
  type RegionRouter,
  type RequestHeader,
  type ServedBy,
} from "../raftstore/index.js";
import type { RawPointReader } from "../raw/index.js";
import {
  busyFailure,
  closingFailure,
  dataIsNotReadyFailure,
  diskFullFailure,
  entryTooLargeFailure,
  type Failure,
  regionFailure,
  undelivered,
} from "./errors.js";
import type { WriteQuota } from "./flow_control.js";
import type { FlowGate } from "./flow_gate.js";
import {
  BoundedSnapshot,
  type KvEngine,
  type LeaderCheck,
  type ReadHeader,
  type RegionSnapshot,
  type WriteKind,
} from "./kv_engine.js";
import type { StorageMetrics } from "./metrics.js";
import { type Confirmed, ReadConfirms } from "./read_confirms.js";
import { RegionGates } from "./region_gates.js";
import { SiblingRegions } from "./sibling_regions.js";
import type { Reply } from "./types.js";

export interface RaftKvOptions {
  readonly raftEntryMaxSizeBytes: number;
  readonly rightDeriveWhenSplit: boolean;
}

export interface RaftKvDeps {
  /** For reads; writes go through the router. */
  readonly engine: Engine;
  readonly router: RegionRouter;
  /** Whether a write has to be refused for want of space; see raftstore/disk.ts. */
  readonly disk: { refuses(frees: boolean): boolean };
  readonly quota: WriteQuota;
  readonly flow: FlowGate;
  readonly metrics: StorageMetrics;
}

/** A write that was admitted. */
interface Admitted extends WriteKind {
  readonly header: RequestHeader;
  readonly data: Uint8Array;
  readonly count: number;
}

const DONE: Reply<void> = ok(undefined);

export class RaftKv implements KvEngine {
  private readonly gates = new RegionGates();
  private readonly confirms: ReadConfirms;
  private readonly siblings: SiblingRegions;
  private inFlight = 0;
  private closed = false;

  constructor(
    private readonly options: RaftKvOptions,
    private readonly deps: RaftKvDeps,
  ) {
    this.confirms = new ReadConfirms(deps.router);
    this.siblings = new SiblingRegions(deps.router, options.rightDeriveWhenSplit);
  }

  check(header: RequestHeader): Reply<ReadDelegate> {
    return this.find(header, "leader");
  }

  read<T>(
    header: ReadHeader,
    use: (peer: ReadDelegate) => Reply<T>,
    check?: LeaderCheck<T>,
  ): Reply<T> | Promise<Reply<T>> {
    const { staleRead } = header;
    const by = header.replicaRead || staleRead ? "replica" : "leader";
    const found = this.find(header, by);
    if (!found.ok) return found;
    const peer = found.value;
    const { metrics } = this.deps;
    if (staleRead && !peer.canReadLocally()) {
      // Raw reads carry no timestamp, so any applied state is fresh enough, as in TiKV.
      if (!peer.dataReady) return dataIsNotReadyFailure(peer);
      metrics.localStaleReads++;
      return use(peer);
    }
    if (peer.canReadLocally()) {
      metrics.localReads++;
      return use(peer);
    }
    metrics.onReadIndex(peer.isLeader ? "lease_expire" : "no_lease");
    const answer = (result: CommandResult<Confirmed>): Reply<T> => {
      if (!result.ok) return this.refusal(result.error, header);
      const { blocked } = result.value;
      if (blocked !== undefined && check !== undefined) return check.onBlocked(blocked);
      return this.useChecked(header, by, use);
    };
    return new Promise((resolve, reject) => {
      const onConfirmed = (result: CommandResult<Confirmed>): void => {
        try {
          resolve(answer(result));
        } catch (error) {
          reject(error);
        }
      };
      const asks = !peer.isLeader;
      this.confirms.ask(peer, asks, onConfirmed, asks ? check?.asked : undefined);
    });
  }

  latest(): RawPointReader {
    const { engine } = this.deps;
    return {
      get: (cf, key) => engine.get(cf, dataKey(key)),
      multiGet: (cf, keys) => engine.multiGet(cf, keys.map(dataKey)),
    };
  }

  snapshot(peer: ReadDelegate): RegionSnapshot {
    return new BoundedSnapshot(peer, this.deps.engine.snapshot());
  }

  newBatch(): WriteBatch {
    return this.deps.engine.newWriteBatch();
  }

  write(
    peer: ReadDelegate,
    header: RequestHeader,
    batch: WriteBatch,
    kind: WriteKind,
  ): Promise<Reply<void>> {
    const { sizeBytes, count } = batch;
    if (sizeBytes > this.options.raftEntryMaxSizeBytes) {
      return Promise.resolve(entryTooLargeFailure(peer.region.id, sizeBytes));
    }
    const refused = this.admit(sizeBytes, kind);
    if (refused !== undefined) return Promise.resolve(refused);
    return this.passOn(peer, { ...kind, header, data: batch.bytes(), count });
  }

  /**
   * As `write`, for the batch path: the caller has checked region and sizes in this turn. The bytes
   * are copied.
   */
  writeBytes(
    peer: ReadDelegate,
    header: RequestHeader,
    representation: Uint8Array,
  ): Promise<Reply<void>> {
    if (representation.length > this.options.raftEntryMaxSizeBytes) {
      return Promise.resolve(entryTooLargeFailure(header.regionId, representation.length));
    }
    const refused = this.admit(representation.length, { frees: false });
    if (refused !== undefined) return Promise.resolve(refused);
    const data = representation.slice();
    return this.passOn(peer, { header, data, count: representationCount(data), frees: false });
  }

  /**
   * Calls `section` at a moment when no write of the region is under way, and replicates the batch
   * that it returns before any later write: what it reads is what its batch finds. The batch is
   * refused when another peer has led the region since. One section a region at a time.
   */
  async exclusive(
    header: RequestHeader,
    regionId: number,
    section: (peer: ReadDelegate) => WriteBatch | undefined,
  ): Promise<Reply<void>> {
    await this.gates.close(regionId);
    let written = Promise.resolve(DONE);
    try {
      const reply = await this.read(
        { ...header, replicaRead: false, staleRead: false },
        (peer): Reply<void> => {
          const batch = section(peer);
          if (batch !== undefined) written = this.writeExclusive(peer, header, batch);
          return DONE;
        },
      );
      if (!reply.ok) return reply;
    } finally {
      this.gates.open(regionId);
    }
    return written;
  }

  /** Refuses new requests ("TiKV is Closing"). */
  close(): void {
    this.closed = true;
    this.deps.flow.close();
  }

  /** Writes and confirmed reads without an answer. */
  get running(): number {
    return this.inFlight + this.confirms.running + this.deps.flow.waiting;
  }

  private find(header: RequestHeader, by: ServedBy): Reply<ReadDelegate> {
    if (this.closed) return closingFailure();
    const { router } = this.deps;
    const found = checkRequest(header, router.storeId, (id) => router.delegate(id), by);
    if (found.ok) return found;
    router.onRefused(found.error);
    return this.refusal(found.error, header);
  }

  private refusal(error: RegionError, { version }: RequestHeader): Failure {
    return regionFailure(this.siblings.addTo(error, version));
  }

  /** The region may have been split, or have left this store, since the request was checked. */
  private useChecked<T>(
    header: RequestHeader,
    by: ServedBy,
    use: (peer: ReadDelegate) => Reply<T>,
  ): Reply<T> {
    // A leader that was deposed meanwhile has applied all that the confirmation asks for.
    const role: ServedBy = by === "leader" ? "replica" : by;
    const found = this.find(header, role);
    return found.ok ? use(found.value) : found;
  }

  private writeExclusive(
    peer: ReadDelegate,
    header: RequestHeader,
    batch: WriteBatch,
  ): Promise<Reply<void>> {
    const { sizeBytes, count } = batch;
    const refused = this.admit(sizeBytes, { frees: true });
    if (refused !== undefined) return Promise.resolve(refused);
    const write = {
      header: { ...header, term: peer.term },
      data: batch.bytes(),
      count,
      frees: true,
    };
    return new Promise((resolve) => this.submit(peer, write, resolve));
  }

  private admit(sizeBytes: number, { frees, admitted }: WriteKind): Failure | undefined {
    if (this.closed) return closingFailure();
    const { disk, quota, router } = this.deps;
    if (disk.refuses(frees)) return diskFullFailure(router.storeId);
    if (admitted === true) return undefined;
    return quota.tryAcquire(sizeBytes) ? undefined : busyFailure();
  }

  /** Through flow control, then through the region's gate. */
  private passOn(peer: ReadDelegate, write: Admitted): Promise<Reply<void>> {
    const { flow, quota } = this.deps;
    const { length } = write.data;
    return new Promise((resolve) => {
      flow.pass(length, write.frees, (refused) => {
        if (refused === undefined) {
          this.gates.pass(peer.regionId, () => this.submit(peer, write, resolve));
          return;
        }
        if (write.admitted !== true) quota.release(length);
        resolve(refused);
      });
    });
  }

  private submit(
    peer: ReadDelegate,
    { header, data, count, frees, admitted, onProposed, onCommitted }: Admitted,
    resolve: (reply: Reply<void>) => void,
  ): void {
    const { regionId } = peer;
    const { quota, router } = this.deps;
    this.inFlight++;
    this.gates.begin(regionId);
    const finish = (reply: Reply<void>): void => {
      this.inFlight--;
      if (admitted !== true) quota.release(data.length);
      resolve(reply);
      this.gates.end(regionId);
    };
    const sent = router.send(regionId, {
      kind: "write",
      command: {
        header,
        data,
        frees,
        ...(onProposed && { onProposed }),
        ...(onCommitted && { onCommitted }),
        done: (result) => finish(result.ok ? DONE : this.refusal(result.error, header)),
      },
    });
    if (sent === "sent") peer.onWritten(count, data.length);
    else finish(regionFailure(undelivered(sent, header.regionId)));
  }
}
