/**
 * Outgoing streams to another store over grpc-js: BatchRaft, Raft and Snapshot, as bytes. Not here:
 * what is sent, queues, reconnecting (raft_conn.ts, snap_sender.ts).
 */
import {
  Client,
  type ClientWritableStream,
  connectivityState,
  credentials,
  Metadata,
  status,
} from "@grpc/grpc-js";
import type { RaftTransportOptions } from "./raft_options.js";

/** Metadata keys: the first is TiKV's, the second lets a store of another cluster refuse. */
export const SOURCE_STORE_ID = "source_store_id";
export const SOURCE_CLUSTER_ID = "source_cluster_id";

/** Bytes or messages handed to a stream that have not left, above which it takes no more. */
const CONGESTED_BYTES = 4 * 1024 * 1024;
const CONGESTED_MESSAGES = 16;

const { READY } = connectivityState;

/** How a stream ended: gRPC's code, 0 when the other store answered Done. */
export interface StreamEnd {
  readonly code: number;
  readonly details: string;
}

/** What a stream tells its owner; never from inside a call of the owner's. */
export interface StreamListener {
  /** The oldest message that was written has left this process: there is a connection. */
  onSent(): void;
  /** The stream takes messages again. */
  onDrain(): void;
  /** Exactly once, the last call; not after `cancel`. */
  onEnd(end: StreamEnd): void;
}

export interface OutStream {
  /** Takes one message; false: no more before onDrain. */
  write(message: Uint8Array): boolean;
  /** Says that nothing follows; onEnd tells the answer. */
  end(): void;
  /** Ends at once; the listener is not called any more. */
  cancel(): void;
}

export type RaftMethod = "BatchRaft" | "Raft" | "Snapshot";

/** A connection to a store. */
export interface RaftChannel {
  open(method: RaftMethod, listener: StreamListener): OutStream;
  close(): void;
}

/** Connects to host:port, at the first stream. */
export type OpenRaftChannel = (address: string) => RaftChannel;

class GrpcStream implements OutStream {
  #bytes = 0;
  #messages = 0;
  #congested = false;
  #isOver = false;
  #wasReady = false;
  readonly #call: ClientWritableStream<Buffer>;

  constructor(
    private readonly client: Client,
    path: string,
    metadata: Metadata,
    private readonly listener: StreamListener,
  ) {
    const same = (bytes: Buffer): Buffer => bytes;
    this.#call = client.makeClientStreamRequest(path, same, same, metadata, (error) => {
      this.#over(error ?? { code: status.OK, details: "" });
    });
    // A write behind the end of a call fails on the stream as well; the end was told already.
    this.#call.on("error", () => {});
  }

  write(message: Uint8Array): boolean {
    const { length } = message;
    this.#bytes += length;
    this.#messages++;
    const buffer = Buffer.from(message.buffer, message.byteOffset, length);
    this.#call.write(buffer, (error?: Error | null) => this.#left(length, error ?? undefined));
    this.#congested = this.#bytes >= CONGESTED_BYTES || this.#messages >= CONGESTED_MESSAGES;
    return !this.#congested;
  }

  end(): void {
    this.#call.end();
  }

  cancel(): void {
    this.#isOver = true;
    this.#call.cancel();
  }

  #left(bytes: number, error: Error | undefined): void {
    this.#bytes -= bytes;
    this.#messages--;
    if (this.#isOver || error !== undefined) return;
    // grpc-js calls back, without an error, for a message that it gives up for want of a connection.
    this.#wasReady ||= this.client.getChannel().getConnectivityState(false) === READY;
    if (!this.#wasReady) return;
    this.listener.onSent();
    if (!this.#congested) return;
    if (this.#bytes >= CONGESTED_BYTES / 2 || this.#messages >= CONGESTED_MESSAGES / 2) return;
    this.#congested = false;
    if (!this.#isOver) this.listener.onDrain();
  }

  #over({ code, details }: StreamEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.listener.onEnd({ code, details });
  }
}

/** Who calls; goes out with each stream. */
export interface RaftSource {
  readonly storeId: number;
  readonly clusterId: bigint;
}

type Keepalive = Pick<RaftTransportOptions, "keepaliveTimeMs" | "keepaliveTimeoutMs">;

/** Returns the connector of a process. Channels do not share connections. */
export function grpcChannels(source: RaftSource, options: Keepalive): OpenRaftChannel {
  const channelOptions = {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": options.keepaliveTimeMs,
    "grpc.keepalive_timeout_ms": options.keepaliveTimeoutMs,
    "grpc.enable_retries": 0,
    "grpc.enable_http_proxy": 0,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_channelz": 0,
  };
  return (address) => {
    const client = new Client(address, credentials.createInsecure(), channelOptions);
    return {
      open(method, listener) {
        const metadata = new Metadata();
        metadata.set(SOURCE_STORE_ID, String(source.storeId));
        metadata.set(SOURCE_CLUSTER_ID, String(source.clusterId));
        return new GrpcStream(client, `/tikvpb.Tikv/${method}`, metadata, listener);
      },
      close: () => client.close(),
    };
  };
}
