/**
 * Snapshots on their way: chunks in order, each an event, with production's source and sink at the
 * ends. A stream breaks when the link is cut, when either process dies, or by chance; each side
 * learns of it, or of nothing until its own timeout. Without the receiver's a sender that dies would
 * hold one of the few places for snapshots on their way in for ever, and nothing got in any more.
 */
import { assert, type Prng } from "../../src/base/index.js";
import type {
  RaftEvents,
  RaftMessage,
  SnapshotManager,
  SnapshotSink,
  SnapshotSource,
} from "../../src/raftstore/index.js";
import { decodeRaftMessage, encodeRaftMessage } from "../../src/raftstore/message_wire.js";
import type { SimHost } from "./host.js";
import type { SimNetwork } from "./network.js";

const TIMEOUT_US = 5_000_000;

/** One end of a stream. */
export interface SnapshotEnd {
  readonly host: SimHost;
  readonly snapshots: SnapshotManager;
  readonly events: RaftEvents;
}

export interface StreamDeps {
  readonly network: SimNetwork;
  readonly prng: Prng;
  readonly from: SnapshotEnd;
  /** Whether the process that began to send still runs. */
  readonly isSenderUp: () => boolean;
  /** The receiving process now; undefined while it is down. */
  readonly to: () => SnapshotEnd | undefined;
  /** Share of streams that break, per mille. */
  readonly cutsPerMille: number;
  readonly onArrived: () => void;
}

/** Sends one snapshot. */
export class SnapshotStream {
  private isOver = false;
  private sink: SnapshotSink | undefined;
  private source: SnapshotSource | undefined;
  private receiver: SnapshotEnd | undefined;
  private readonly bytes: Uint8Array;
  /** Chunks after which the stream breaks; infinity for most. */
  private readonly chunksMax: number;
  private chunks = 0;

  constructor(
    private readonly deps: StreamDeps,
    private readonly message: RaftMessage,
  ) {
    const { prng, cutsPerMille } = deps;
    this.bytes = encodeRaftMessage(message);
    this.chunksMax = prng.ratio(cutsPerMille, 1000) ? prng.below(3) : Number.POSITIVE_INFINITY;
  }

  start(): void {
    const { from } = this.deps;
    const { metadata } = this.message.message?.snapshot ?? { metadata: undefined };
    assert(metadata !== undefined, "a MsgSnapshot carries a snapshot");
    const { regionId, toPeer } = this.message;
    const key = { regionId, term: metadata.term, index: metadata.index };
    this.source = from.snapshots.open(key, toPeer.id);
    from.host.afterUs(TIMEOUT_US, () => this.end(true));
    if (this.source === undefined) {
      from.host.afterUs(0, () => this.end(true));
      return;
    }
    this.toReceiver("snapshot", this.bytes, (receiver) => {
      const decoded = decodeRaftMessage(this.bytes);
      assert(typeof decoded !== "string", "production's codec reads what it wrote");
      const sink = receiver.snapshots.receive(decoded);
      if (typeof sink === "string") return this.breakOff();
      this.receiver = receiver;
      this.sink = sink;
      receiver.host.afterUs(TIMEOUT_US, () => this.giveUp());
      this.nextChunk();
    });
  }

  private nextChunk(): void {
    this.toSender(() =>
      this.source?.ready(() => {
        if (this.isOver) return;
        if (this.chunks++ >= this.chunksMax) return this.breakOff();
        const chunk = this.source?.next();
        if (chunk === undefined)
          this.toReceiver("snapshotEnd", new Uint8Array(0), () => this.finish());
        else this.toReceiver("chunk", chunk.slice(), () => this.writeChunk(chunk));
      }),
    );
  }

  private writeChunk(chunk: Uint8Array): void {
    const { sink } = this;
    sink?.ready(() => {
      if (this.isOver) return;
      if (sink.write(chunk) === undefined) this.nextChunk();
      else this.breakOff();
    });
  }

  private finish(): void {
    this.sink?.finish((problem) => {
      if (this.isOver || problem !== undefined) return this.breakOff();
      const decoded = decodeRaftMessage(this.bytes);
      assert(typeof decoded !== "string", "production's codec reads what it wrote");
      this.deps.onArrived();
      this.sink = undefined;
      this.receiver?.events.onRaftMessage(decoded);
      this.toSender(() => this.end(false));
    });
  }

  /** The receiver has waited long enough; whatever still comes is dropped. */
  private giveUp(): void {
    this.sink?.abort();
    this.sink = undefined;
  }

  /** The receiver, or the network, gives up. */
  private breakOff(): void {
    this.giveUp();
    this.deps.from.host.afterUs(0, () => this.end(true));
  }

  private end(failed: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    this.source?.close();
    const { regionId, toPeer } = this.message;
    this.deps.from.events.onSnapshotSent(regionId, toPeer.id, failed);
    const { receiver, sink } = this;
    if (sink !== undefined) receiver?.host.afterUs(0, () => sink.abort());
  }

  private toReceiver(kind: string, bytes: Uint8Array, take: (receiver: SnapshotEnd) => void): void {
    const { network, from, to } = this.deps;
    const host = to()?.host;
    if (host === undefined) {
      this.breakOff();
      return;
    }
    const envelope = {
      from: from.host.name,
      to: host.name,
      kind,
      bytes,
      atUs: from.host.localUs,
      isReliable: true,
    };
    network.send(envelope, () =>
      host.turn(() => {
        const receiver = to();
        // A stream does not outlive the process that began to receive.
        const isSame = this.receiver === undefined || receiver?.events === this.receiver.events;
        if (receiver !== undefined && isSame && !this.isOver) take(receiver);
      }),
    );
  }

  private toSender(take: () => void): void {
    const { network, from } = this.deps;
    const own = this.receiver?.host;
    if (own === undefined) return;
    const envelope = {
      from: own.name,
      to: from.host.name,
      kind: "snapshot!",
      bytes: "",
      atUs: own.localUs,
      isReliable: true,
    };
    network.send(envelope, () =>
      from.host.turn(() => {
        if (this.deps.isSenderUp()) take();
      }),
    );
  }
}
