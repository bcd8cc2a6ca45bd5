/** Timers, streams and a PD for the Raft transport, all driven by the test. */
import type { Timers } from "../../src/base/index.js";
import type {
  RaftEvents,
  RaftMessage,
  SchedulePort,
  StoreAddress,
} from "../../src/raftstore/index.js";
import type {
  OpenRaftChannel,
  OutStream,
  RaftMethod,
  StreamEnd,
  StreamListener,
} from "../../src/server/raft_channel.js";

interface Waiting {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Timers that run when the test advances them. */
export class ManualTimers implements Timers {
  #nowMs = 0;
  readonly #waiting = new Set<Waiting>();

  after(delayMs: number, callback: () => void): () => void {
    const waiting = { atMs: this.#nowMs + delayMs, callback };
    this.#waiting.add(waiting);
    return () => this.#waiting.delete(waiting);
  }

  /** Timers that have not run. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Lets `ms` pass; runs what is due, in order. */
  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#waiting]
        .filter(({ atMs }) => atMs <= end)
        .sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#waiting.delete(due);
      this.#nowMs = due.atMs;
      due.callback();
    }
    this.#nowMs = end;
  }
}

/** A stream that keeps what was written to it. */
export class FakeStream implements OutStream {
  readonly written: Uint8Array[] = [];
  isEnded = false;
  isCancelled = false;
  /** What `write` answers. */
  hasRoom = true;

  constructor(
    readonly address: string,
    readonly method: RaftMethod,
    readonly listener: StreamListener,
  ) {}

  write(message: Uint8Array): boolean {
    this.written.push(message);
    return this.hasRoom;
  }

  end(): void {
    this.isEnded = true;
  }

  cancel(): void {
    this.isCancelled = true;
  }

  /** What was written so far has left. */
  sent(): void {
    this.listener.onSent();
  }

  drain(): void {
    this.hasRoom = true;
    this.listener.onDrain();
  }

  fail(end: StreamEnd): void {
    this.listener.onEnd(end);
  }
}

/** A network of fake streams, in the order in which they were opened. */
export class FakeNet {
  readonly streams: FakeStream[] = [];
  closed = 0;
  /** What `write` of new streams answers. */
  hasRoom = true;

  readonly connect: OpenRaftChannel = (address) => ({
    open: (method, listener) => {
      const stream = new FakeStream(address, method, listener);
      stream.hasRoom = this.hasRoom;
      this.streams.push(stream);
      return stream;
    },
    close: () => {
      this.closed++;
    },
  });

  get last(): FakeStream {
    const stream = this.streams.at(-1);
    if (stream === undefined) throw new Error("no stream was opened");
    return stream;
  }
}

/** A PD that knows stores by id; `removed` for one that is gone. */
export class FakeDirectory implements Pick<SchedulePort, "getStoreAddress"> {
  readonly stores = new Map<bigint, StoreAddress>();
  asked = 0;

  async getStoreAddress(id: bigint): ReturnType<SchedulePort["getStoreAddress"]> {
    this.asked++;
    const value = this.stores.get(id);
    if (value !== undefined) return { ok: true, value };
    return { ok: false, error: { kind: "refused", message: `invalid store ID ${id}` } };
  }
}

/** Events as lists. */
export class RecordedEvents implements RaftEvents {
  readonly messages: RaftMessage[] = [];
  readonly unreachable: string[] = [];
  readonly stores: number[] = [];
  readonly snapshots: string[] = [];

  onRaftMessage(message: RaftMessage): void {
    this.messages.push(message);
  }

  onUnreachable(regionId: number, toPeerId: number): void {
    this.unreachable.push(`${regionId}/${toPeerId}`);
  }

  onStoreUnreachable(storeId: number): void {
    this.stores.push(storeId);
  }

  onSnapshotSent(regionId: number, toPeerId: number, failed: boolean): void {
    this.snapshots.push(`${regionId}/${toPeerId} ${failed ? "failed" : "sent"}`);
  }
}

/** Lets promises that are settled run their continuations. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

export const QUIET_LOGGER = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => QUIET_LOGGER,
};
