/**
 * Replaces the data of a region by a received snapshot, in slices: delete, ingest chunk by chunk,
 * and last, synced, the region state Normal. Until that last write the state on disk is Applying,
 * so a crash anywhere leads to the same work again; it does not matter how much was done.
 *
 * Nothing outside of the given spans is touched: the keys of the file were checked against the
 * region when it came, and are checked again here.
 */
import type { Timers } from "../../base/index.js";
import { dataKey, regionStateKey, snapshotRaftStateKey } from "../../codec/index.js";
import type { WriteBatch } from "../../engine/index.js";
import type { EnginePort } from "../engine_port.js";
import { encodeRegionLocalState, PEER_STATE } from "../local_state.js";
import { deleteSpan } from "./delete_range.js";
import type { SnapFileReader } from "./files.js";
import { CHUNK_MAX_BYTES } from "./format.js";
import { type KeySpan, mergeSpans } from "./range_jobs.js";
import { chunkLength, StreamReader } from "./stream_reader.js";
import type { ApplySnapshotTask } from "./types.js";

export interface ApplyDeps {
  readonly port: EnginePort;
  readonly timers: Timers;
  /** Opens the file of the task; undefined: it is not there. */
  readonly openFile: () => SnapFileReader | undefined;
  /** The file cannot be used: the end of this store. Nothing is called after it. */
  readonly onDamage: (problem: string) => void;
}

/** Returns everything that the task deletes: what it replaces, and all of the region. */
export function spansOf(task: ApplySnapshotTask): KeySpan[] {
  return mergeSpans([...task.replaced, task.region]);
}

/** Does the work of `task`; calls back once, when all of it is durable. */
export function applySnapshot(deps: ApplyDeps, task: ApplySnapshotTask, done: () => void): void {
  deleteSpans(deps, spansOf(task), 0, () => {
    const file = deps.openFile();
    if (file === undefined) deps.onDamage("it is not there");
    else new Ingestion(deps, task, file, done).read();
  });
}

function deleteSpans(
  deps: ApplyDeps,
  spans: readonly KeySpan[],
  at: number,
  done: () => void,
): void {
  const span = spans[at];
  if (span === undefined) done();
  else deleteSpan(deps, span, () => deleteSpans(deps, spans, at + 1, done));
}

/** Brings the chunks of one file into the engine. One read or write is under way at a time. */
class Ingestion {
  private readonly stream: StreamReader;
  private readonly batch: WriteBatch;
  /** Of the file: where the next read begins. */
  private offset = 0;

  constructor(
    private readonly deps: ApplyDeps,
    private readonly task: ApplySnapshotTask,
    private readonly file: SnapFileReader,
    private readonly done: () => void,
  ) {
    const batch = deps.port.engine.newWriteBatch();
    this.batch = batch;
    this.stream = new StreamReader({ key: task.key, region: task.region }, (cf, key, value) =>
      batch.put(cf, dataKey(key), value),
    );
  }

  read(): void {
    this.file.read(this.offset, CHUNK_MAX_BYTES, (bytes) => {
      if (typeof bytes === "string") this.fail(bytes);
      else if (bytes.length === 0) this.finish();
      else this.ingest(bytes, 0);
    });
  }

  /** Ingests the chunk at `at` and comes again; `bytes` are those of the file from `offset` on. */
  private ingest(bytes: Uint8Array, at: number): void {
    const length = chunkLength(bytes, at);
    if (length === undefined && at > 0) {
      this.offset += at;
      this.read();
      return;
    }
    if (typeof length !== "number") {
      this.fail(length ?? "the last chunk is cut");
      return;
    }
    const problem = this.stream.push(bytes.subarray(at, at + length));
    if (problem !== undefined) {
      this.fail(problem);
      return;
    }
    const again = (): void => {
      this.deps.timers.after(0, () => this.ingest(bytes, at + length));
    };
    if (this.batch.count === 0) {
      again();
      return;
    }
    this.deps.port.write(this.batch.bytes(), false, again);
    this.batch.clear();
  }

  /** The last write. The file may go only after it is durable. */
  private finish(): void {
    const problem = this.stream.finish();
    if (problem !== undefined) {
      this.fail(problem);
      return;
    }
    this.file.close();
    const { region } = this.task;
    const state = encodeRegionLocalState({ state: PEER_STATE.Normal, region });
    this.batch.put("raft", regionStateKey(region.id), state);
    this.batch.delete("raft", snapshotRaftStateKey(region.id));
    this.deps.port.write(this.batch.bytes(), true, this.done);
  }

  private fail(problem: string): void {
    this.file.close();
    this.deps.onDamage(problem);
  }
}
