/**
 * A wrapper around any engine that fails or holds its writes and fails its reads when a test says
 * so. With no fault set it behaves as the engine below it; the conformance suite runs on it.
 * Not here: losing unsynced writes, which MemoryDisk.crash does below the engine.
 */
import { QueuedEngine } from "./queued_engine.js";
import type {
  ArenaGet,
  ArenaGetResult,
  CfName,
  Engine,
  EngineBinding,
  EngineStats,
  Iter,
  IterOptions,
  KeyRange,
  Snapshot,
} from "./types.js";
import { WriteQueue } from "./write_queue.js";

/** The switches of one FaultEngine. */
export class EngineFaults {
  private writeError: Error | undefined;
  private writesUntilError = 0;
  private readError: Error | undefined;
  private gate: Promise<void> | undefined;
  private openGate: () => void = noop;

  /** The native write after `after` good ones fails with `error`, before anything is applied. */
  failWrite(error: Error, after = 0): void {
    this.writeError = error;
    this.writesUntilError = after;
  }

  /** Every point read and every new iterator throws `error`; undefined ends it. */
  failReads(error: Error | undefined): void {
    this.readError = error;
  }

  /** Native writes wait until `releaseWrites`: a slow disk without a clock. */
  holdWrites(): void {
    this.gate ??= new Promise((resolve) => {
      this.openGate = resolve;
    });
  }

  /** Lets held writes go on. */
  releaseWrites(): void {
    this.gate = undefined;
    this.openGate();
  }

  /** Called by the engine before each native write or log sync. */
  async beforeWrite(): Promise<void> {
    while (this.gate !== undefined) await this.gate;
    if (this.writeError === undefined) return;
    if (this.writesUntilError > 0) this.writesUntilError--;
    else throw this.writeError;
  }

  /** Called by the engine before each read. */
  beforeRead(): void {
    if (this.readError !== undefined) throw this.readError;
  }
}

function noop(): void {}

/** See the head of the file. Owns `inner` and closes it. */
export class FaultEngine extends QueuedEngine implements Engine {
  readonly binding: EngineBinding;
  readonly description: string;
  readonly path: string;
  private readonly inner: Engine;
  private readonly faults: EngineFaults;
  protected override readonly queue: WriteQueue;
  private closed = false;

  /** `onFatal` as in EngineOptions; injected errors go there, errors of `inner` to its own. */
  constructor(inner: Engine, faults: EngineFaults, onFatal: (error: Error) => void) {
    super();
    this.inner = inner;
    this.faults = faults;
    this.binding = inner.binding;
    this.description = `${inner.description} behind faults`;
    this.path = inner.path;
    this.queue = new WriteQueue(
      {
        apply: async (representation, sync) => {
          await faults.beforeWrite();
          await inner.writeBytes(representation, { sync });
        },
        syncLog: async () => {
          await faults.beforeWrite();
          await inner.sync();
        },
      },
      onFatal,
    );
  }

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    this.faults.beforeRead();
    return this.inner.get(cf, key);
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    this.faults.beforeRead();
    return this.inner.multiGet(cf, keys);
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    this.faults.beforeRead();
    return this.inner.multiGetArena(request);
  }

  snapshot(): Snapshot {
    return new FaultSnapshot(this.inner.snapshot(), this.faults);
  }

  stats(): EngineStats {
    return { ...this.inner.stats(), ...this.queue.stats() };
  }

  approximateSize(cf: CfName, range: KeyRange): number {
    return this.inner.approximateSize(cf, range);
  }

  compact(): Promise<void> {
    return this.inner.compact();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    const { snapshotsOpen, iteratorsOpen } = this.inner.stats();
    if (snapshotsOpen + iteratorsOpen === 0) {
      this.closed = true;
      await this.queue.close();
    }
    // With open handles `inner` refuses, and says why.
    await this.inner.close();
  }
}

class FaultSnapshot implements Snapshot {
  private readonly inner: Snapshot;
  private readonly faults: EngineFaults;

  constructor(inner: Snapshot, faults: EngineFaults) {
    this.inner = inner;
    this.faults = faults;
  }

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    this.faults.beforeRead();
    return this.inner.get(cf, key);
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    this.faults.beforeRead();
    return this.inner.multiGet(cf, keys);
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    this.faults.beforeRead();
    return this.inner.multiGetArena(request);
  }

  iterate(cf: CfName, options: IterOptions): Iter {
    this.faults.beforeRead();
    return this.inner.iterate(cf, options);
  }

  provenEmpty(cf: CfName, start: Uint8Array, end: Uint8Array): boolean {
    this.faults.beforeRead();
    return this.inner.provenEmpty(cf, start, end);
  }

  close(): void {
    this.inner.close();
  }
}
