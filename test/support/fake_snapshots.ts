/** Snapshots as lists of chunks: what the transport sends and receives in tests. */
import { EMPTY_CONF_STATE } from "../../src/raft/index.js";
import type {
  RaftMessage,
  SnapKey,
  SnapshotSink,
  SnapshotSource,
} from "../../src/raftstore/index.js";
import { appendTo } from "./raft_messages.js";

/** Returns the MsgSnapshot of region `regionId` at `index`, for a store. */
export function snapshotTo(regionId: number, index: number, storeId: number): RaftMessage {
  const { message, ...rest } = appendTo(regionId, 1, 0, 0, storeId);
  if (message === undefined) throw new Error("appendTo makes a raft message");
  const metadata = { confState: { ...EMPTY_CONF_STATE, voters: [1, 2] }, index, term: 6 };
  const snapshot = { data: Uint8Array.of(1, 2, 3), metadata };
  return { ...rest, message: { ...message, type: 7, snapshot } };
}

/** A snapshot on its way out; `gate` may hold chunks back. */
export class FakeSource implements SnapshotSource {
  readonly totalBytes = 0;
  isClosed = false;
  sent = 0;

  constructor(
    private readonly chunks: readonly Uint8Array[],
    private readonly gate: (go: () => void) => void = (go) => go(),
  ) {}

  ready(go: () => void): void {
    this.gate(go);
  }

  next(): Uint8Array | undefined {
    return this.chunks[this.sent++];
  }

  close(): void {
    this.isClosed = true;
  }
}

/** A snapshot on its way in. */
export class FakeSink implements SnapshotSink {
  readonly chunks: Uint8Array[] = [];
  isAborted = false;
  isFinished = false;
  /** Chunks of a whole snapshot: fewer are a cut stream. */
  expected = 0;
  /** Answers of `write` and `finish`. */
  writeProblem: string | undefined;
  finishProblem: string | undefined;
  /** Holds chunks back. */
  gate: (go: () => void) => void = (go) => go();

  ready(go: () => void): void {
    this.gate(go);
  }

  write(chunk: Uint8Array): string | undefined {
    this.chunks.push(Uint8Array.from(chunk));
    return this.writeProblem;
  }

  finish(done: (problem: string | undefined) => void): void {
    const isCut = this.chunks.length < this.expected;
    const problem = isCut ? "the snapshot stream was cut" : this.finishProblem;
    this.isFinished = problem === undefined;
    done(problem);
  }

  abort(): void {
    this.isAborted = true;
  }
}

/** The part of a SnapshotManager that transports use. */
export class FakeSnapshots {
  readonly sources = new Map<number, FakeSource>();
  readonly sinks: FakeSink[] = [];
  /** What `receive` answers next instead of a sink. */
  refusal: string | undefined;
  /** Sets up each new sink. */
  onSink: (sink: FakeSink) => void = () => {};

  open(key: SnapKey): FakeSource | undefined {
    return this.sources.get(key.regionId);
  }

  receive(): FakeSink | string {
    if (this.refusal !== undefined) return this.refusal;
    const sink = new FakeSink();
    this.onSink(sink);
    this.sinks.push(sink);
    return sink;
  }
}
