/**
 * Generated snapshots on their way out. Each holds an engine snapshot and no file; the npm binding
 * has a bounded number of those. So they are closed when their stream ends, is given up, or when
 * nobody reads them for a while.
 */
import { type Clock, errorMessage, type Logger, type Timers } from "../../base/index.js";
import { dataRange } from "../../codec/index.js";
import type { EnginePort } from "../engine_port.js";
import type { ReplicationOptions } from "../options.js";
import type { RegionInfo } from "../region.js";
import { RegionReader } from "./build.js";
import { DATA_CFS } from "./format.js";
import type { SnapshotMetrics } from "./metrics.js";
import { encodeSnapshotData } from "./snapshot_data.js";
import { Throttle } from "./throttle.js";
import type { GeneratedSnapshot, GenerateRequest, SnapKey, SnapshotSource } from "./types.js";

/** A generated snapshot, or a stream, that nobody reads for this long is closed. */
export const SOURCE_IDLE_MAX_MS = 60_000;

interface Outgoing {
  readonly key: SnapKey;
  readonly toPeerId: number;
  readonly reader: RegionReader;
  readonly sizeBytes: number;
  usedAtMs: number;
  opened: boolean;
}

export interface SendDeps {
  readonly port: EnginePort;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: SnapshotMetrics;
}

export type SendOptions = Pick<
  ReplicationOptions,
  "concurrentSendSnapLimit" | "snapIoMaxBytesPerSec"
>;

/** Returns whether two keys name the same snapshot. */
export function sameKey(a: SnapKey, b: SnapKey): boolean {
  return a.regionId === b.regionId && a.term === b.term && a.index === b.index;
}

export class OutgoingSnapshots {
  /** Everything that holds an engine snapshot. */
  private readonly all = new Set<Outgoing>();
  private readonly throttle: Throttle;

  constructor(
    private readonly options: SendOptions,
    private readonly deps: SendDeps,
  ) {
    this.throttle = new Throttle(options.snapIoMaxBytesPerSec, deps.clock, deps.timers);
  }

  /** Snapshots that wait to be sent, or are sent. */
  get size(): number {
    return this.all.size;
  }

  get sendingCount(): number {
    let count = 0;
    for (const one of this.all) if (one.opened) count++;
    return count;
  }

  /** See SnapshotManager.generate; a newer one for the same peer replaces one not yet opened. */
  generate(request: GenerateRequest): GeneratedSnapshot {
    const { key, toPeerId, region, confState, engineSnapshot } = request;
    this.deps.metrics.generate.start++;
    this.closeUnopened((one) => one.key.regionId === key.regionId && one.toPeerId === toPeerId);
    if (this.all.size >= this.options.concurrentSendSnapLimit) {
      this.deps.metrics.generate.fail++;
      engineSnapshot.close();
      return { toPeerId, snapshot: undefined };
    }
    const sizeBytes = this.sizeOf(region);
    const reader = new RegionReader({ key, region }, engineSnapshot);
    const usedAtMs = this.deps.clock.monotonicMs();
    this.all.add({ key, toPeerId, reader, sizeBytes, usedAtMs, opened: false });
    this.deps.metrics.generate.success++;
    const metadata = { index: key.index, term: key.term, confState };
    return { toPeerId, snapshot: { data: encodeSnapshotData({ region, sizeBytes }), metadata } };
  }

  /** See SnapshotManager.open: a generated snapshot is read once. */
  open(key: SnapKey, toPeerId: number): SnapshotSource | undefined {
    for (const one of this.all) {
      const fits = !one.opened && one.toPeerId === toPeerId && sameKey(one.key, key);
      if (fits) return this.sourceOf(one);
    }
    return undefined;
  }

  /** Closes what was generated under `key` and not opened. */
  release(key: SnapKey): void {
    this.closeUnopened((one) => sameKey(one.key, key));
  }

  /** Closes what nobody has read for SOURCE_IDLE_MAX_MS. */
  expire(nowMs: number): void {
    for (const one of [...this.all]) {
      if (nowMs - one.usedAtMs < SOURCE_IDLE_MAX_MS) continue;
      this.deps.metrics.generate.expired++;
      this.end(one, false);
    }
  }

  /** Closes everything; streams end early. */
  close(): void {
    for (const one of [...this.all]) this.end(one, false);
  }

  private sourceOf(one: Outgoing): SnapshotSource {
    const openedAtMs = this.deps.clock.monotonicMs();
    one.opened = true;
    one.usedAtMs = openedAtMs;
    return {
      totalBytes: one.sizeBytes,
      ready: (go) => this.throttle.ready(go),
      next: () => {
        const chunk = this.all.has(one) ? this.read(one) : undefined;
        if (chunk === undefined && this.all.has(one)) {
          this.deps.metrics.sendSeconds?.observe((one.usedAtMs - openedAtMs) / 1000);
          this.end(one, true);
        }
        return chunk;
      },
      close: () => this.end(one, false),
    };
  }

  /** Returns the next chunk; undefined at the end, and when the data cannot be read. */
  private read(one: Outgoing): Uint8Array | undefined {
    one.usedAtMs = this.deps.clock.monotonicMs();
    try {
      const chunk = one.reader.next();
      this.throttle.spend(chunk?.length ?? 0);
      this.deps.metrics.sentBytes += chunk?.length ?? 0;
      return chunk;
    } catch (error) {
      const fields = { region_id: one.key.regionId, error: errorMessage(error) };
      this.deps.logger.error("snapshot cannot be read", fields);
      this.end(one, false);
      return undefined;
    }
  }

  private closeUnopened(which: (one: Outgoing) => boolean): void {
    for (const one of [...this.all]) if (!one.opened && which(one)) this.end(one, false);
  }

  /** Idempotent. */
  private end(one: Outgoing, good: boolean): void {
    if (!this.all.delete(one)) return;
    if (one.opened) this.deps.metrics.send[good ? "success" : "fail"]++;
    one.reader.close();
  }

  private sizeOf(region: RegionInfo): number {
    const range = dataRange(region.startKey, region.endKey);
    const { engine } = this.deps.port;
    return DATA_CFS.reduce((sum, cf) => sum + engine.approximateSize(cf, range), 0);
  }
}
