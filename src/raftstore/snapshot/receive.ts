/**
 * The receiving side of one snapshot: each chunk is checked before a byte of it is kept, the file
 * is made durable at the end. Not here: limits, which snapshots may come (manager.ts).
 */
import type { SnapFileWriter } from "./files.js";
import type { StreamHead } from "./format.js";
import { StreamReader } from "./stream_reader.js";
import type { Throttle } from "./throttle.js";
import type { SnapshotSink } from "./types.js";

/** Chunks that may wait for the disk; `ready` waits from the first on. */
const QUEUED_MAX_BYTES = 8 << 20;

export interface ReceiverDeps {
  readonly throttle: Throttle;
  /** undefined: the snapshot is here already; what comes is checked and dropped. */
  readonly file: SnapFileWriter | undefined;
  /** Called once: good, failed or given up. `sizeBytes` as received. */
  readonly onEnd: (result: { readonly good: boolean; readonly sizeBytes: number }) => void;
}

/** See SnapshotSink. */
export class SnapshotReceiver implements SnapshotSink {
  private readonly reader: StreamReader;
  private readonly queue: Uint8Array[] = [];
  private queuedBytes = 0;
  private sizeBytes = 0;
  private appending = false;
  private problem: string | undefined;
  private state: "open" | "finishing" | "ended" = "open";
  private waiting: (() => void) | undefined;
  private done: ((problem: string | undefined) => void) | undefined;

  constructor(
    head: StreamHead,
    private readonly deps: ReceiverDeps,
  ) {
    this.reader = new StreamReader(head);
  }

  ready(go: () => void): void {
    if (this.state !== "open") {
      // The stream is over; `write` will say so.
      this.deps.throttle.ready(go);
      return;
    }
    this.waiting = go;
    this.grant();
  }

  write(chunk: Uint8Array): string | undefined {
    if (this.state !== "open") return this.problem ?? "the snapshot was given up";
    const problem =
      this.reader.push(chunk) ??
      (this.queuedBytes + chunk.length > QUEUED_MAX_BYTES
        ? "the disk does not keep up"
        : undefined);
    if (problem !== undefined) {
      this.fail(problem);
      return problem;
    }
    this.deps.throttle.spend(chunk.length);
    this.sizeBytes += chunk.length;
    if (this.deps.file !== undefined) {
      this.queue.push(chunk);
      this.queuedBytes += chunk.length;
      this.append(this.deps.file);
    }
    return this.problem;
  }

  finish(done: (problem: string | undefined) => void): void {
    if (this.state !== "open") {
      done(this.problem ?? "the snapshot was given up");
      return;
    }
    const problem = this.reader.finish();
    this.done = done;
    if (problem !== undefined) {
      this.fail(problem);
      return;
    }
    this.state = "finishing";
    this.commit();
  }

  abort(): void {
    if (this.state === "open") this.fail("the snapshot was given up");
  }

  private append(file: SnapFileWriter): void {
    const chunk = this.appending ? undefined : this.queue.shift();
    if (chunk === undefined) return;
    this.appending = true;
    file.append(chunk, (problem) => {
      this.appending = false;
      if (this.state === "ended") return;
      this.queuedBytes -= chunk.length;
      if (problem !== undefined) {
        this.fail(problem);
        return;
      }
      this.append(file);
      this.grant();
      this.commit();
    });
  }

  private grant(): void {
    const go = this.waiting;
    if (go === undefined || this.queuedBytes > 0) return;
    this.waiting = undefined;
    this.deps.throttle.ready(go);
  }

  /** Commits when the stream is complete and written. */
  private commit(): void {
    if (this.state !== "finishing" || this.queuedBytes > 0) return;
    if (this.deps.file === undefined) this.end(undefined);
    else this.deps.file.commit((problem) => this.end(problem));
  }

  private fail(problem: string): void {
    this.deps.file?.discard();
    this.end(problem);
  }

  private end(problem: string | undefined): void {
    if (this.state === "ended") return;
    this.state = "ended";
    this.problem = problem;
    this.queue.length = 0;
    this.queuedBytes = 0;
    this.grant();
    this.deps.onEnd({ good: problem === undefined, sizeBytes: this.sizeBytes });
    this.done?.(problem);
  }
}
