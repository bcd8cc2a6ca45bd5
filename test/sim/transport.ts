/**
 * A store's outgoing messages on the simulated network, as production's codec writes them. Flushed
 * once in a poll round, like the real one; lost messages are reported when a connection would tell.
 */
import type { Prng } from "../../src/base/index.js";
import type {
  RaftEvents,
  RaftMessage,
  Transport,
  TransportResult,
} from "../../src/raftstore/index.js";
import type { SimHost } from "./host.js";
import type { SimNetwork } from "./network.js";

/** Bytes of messages between stores. */
export interface MessageCodec {
  encode(message: RaftMessage): Uint8Array;
  decode(bytes: Uint8Array): RaftMessage | undefined;
}

export interface TransportDeps {
  readonly network: SimNetwork;
  readonly host: SimHost;
  readonly prng: Prng;
  readonly codec: MessageCodec;
  /** The machine of a store, undefined while nobody knows the store. */
  readonly hostOf: (storeId: number) => SimHost | undefined;
  /** The process that runs on a machine now. */
  readonly eventsOf: (host: SimHost) => RaftEvents | undefined;
  readonly sendSnapshot: (message: RaftMessage) => void;
}

const SNAPSHOT_MESSAGE = 7;

export class SimTransport implements Transport {
  private readonly queue: RaftMessage[] = [];
  private readonly deps: TransportDeps;

  constructor(deps: TransportDeps) {
    this.deps = deps;
  }

  send(message: RaftMessage): TransportResult {
    if (message.message?.type === SNAPSHOT_MESSAGE) this.deps.sendSnapshot(message);
    else this.queue.push(message);
    return "queued";
  }

  flush(): void {
    for (const message of this.queue.splice(0)) this.sendNow(message);
  }

  private sendNow(message: RaftMessage): void {
    const { network, host, prng, codec, hostOf, eventsOf } = this.deps;
    const target = hostOf(message.toPeer.storeId);
    const bytes = codec.encode(message);
    const deliver = (): void => {
      const decoded = codec.decode(bytes);
      if (target === undefined || decoded === undefined) return;
      target.turn(() => eventsOf(target)?.onRaftMessage(decoded));
    };
    const envelope = {
      from: host.name,
      to: target?.name ?? "?",
      kind: "raft",
      bytes,
      atUs: host.localUs,
    };
    const hasLeft = target !== undefined && network.send(envelope, deliver);
    if (hasLeft || !prng.ratio(1, 2)) return;
    host.afterUs(0, () => eventsOf(host)?.onUnreachable(message.regionId, message.toPeer.id));
  }
}
