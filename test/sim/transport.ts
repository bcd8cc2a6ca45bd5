/**
 * A store's outgoing messages on the simulated network, in the frames and with the codec of
 * production. Flushed once in a poll round, like the real one; what is lost at once is reported, as
 * a broken connection would tell, in half of the cases. Snapshots have their own streams.
 */
import type { Prng } from "../../src/base/index.js";
import { MessageType } from "../../src/raft/index.js";
import type {
  RaftEvents,
  RaftMessage,
  Transport,
  TransportResult,
} from "../../src/raftstore/index.js";
import type { MessageCodec } from "../../src/raftstore/message_codec.js";
import type { SimHost } from "./host.js";
import type { SimNetwork } from "./network.js";

const FRAME_LIMITS = { messagesMax: 16, bytesMax: 64 * 1024 };

/** Another store's machine, as a target of messages. */
export interface TransportTarget {
  readonly host: SimHost;
  /** The process that runs there now. */
  readonly events: RaftEvents | undefined;
}

export interface TransportDeps {
  readonly network: SimNetwork;
  readonly host: SimHost;
  readonly prng: Prng;
  readonly codec: MessageCodec;
  /** The machine of a store, undefined while nobody knows the store. */
  readonly targetOf: (storeId: number) => TransportTarget | undefined;
  /** This store's own events. */
  readonly events: () => RaftEvents | undefined;
  readonly sendSnapshot: (message: RaftMessage) => void;
}

export class SimTransport implements Transport {
  private queue: RaftMessage[] = [];
  private readonly deps: TransportDeps;

  constructor(deps: TransportDeps) {
    this.deps = deps;
  }

  send(message: RaftMessage): TransportResult {
    if (message.message?.type === MessageType.Snapshot) this.deps.sendSnapshot(message);
    else this.queue.push(message);
    return "queued";
  }

  flush(): void {
    if (this.queue.length === 0) return;
    const messages = this.queue;
    this.queue = [];
    const stores = [...new Set(messages.map((message) => message.toPeer.storeId))];
    const targets = messages.map((message) => stores.indexOf(message.toPeer.storeId));
    const frames = this.deps.codec.encodeFrames(messages, targets, stores.length, FRAME_LIMITS);
    for (const { target, bytes, messages: inside } of frames) {
      this.sendFrame(stores[target] as number, bytes, inside);
    }
  }

  private sendFrame(storeId: number, bytes: Uint8Array, messages: readonly RaftMessage[]): void {
    const { network, host, prng, targetOf, events } = this.deps;
    const target = targetOf(storeId);
    const to = target?.host.name ?? "?";
    const envelope = { from: host.name, to, kind: "raft", bytes, atUs: host.localUs };
    const hasLeft =
      target !== undefined && network.send(envelope, () => this.deliver(target, bytes));
    if (hasLeft || !prng.ratio(1, 2)) return;
    host.afterUs(0, () => {
      for (const { regionId, toPeer } of messages) events()?.onUnreachable(regionId, toPeer.id);
    });
  }

  private deliver(target: TransportTarget, bytes: Uint8Array): void {
    target.host.turn(() => {
      const [frame] = this.deps.codec.decodeFrames([bytes]);
      if (frame === undefined || frame === "malformed") throw new Error("a frame does not parse");
      for (const message of frame) {
        // Production drops and counts what it does not understand.
        if (message !== "refused") target.events?.onRaftMessage(message);
      }
    });
  }
}
