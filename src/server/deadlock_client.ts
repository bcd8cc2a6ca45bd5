/**
 * The way to the store that leads deadlock detection: the leader of the region with the empty key,
 * as PD knows it. One stream at a time. Not here: when to connect again, what waits meanwhile
 * (txn/lock_manager/detector.ts). Source: tikv src/server/lock_manager/{client,deadlock}.rs.
 */
import { Client, type ClientDuplexStream, credentials, Metadata } from "@grpc/grpc-js";
import { EMPTY_BYTES, type Logger } from "../base/index.js";
import { type deadlock, deserializer, methodInfo, serializer } from "../pb/index.js";
import type { SchedulePort } from "../raftstore/index.js";
import type { DeadlockHooks } from "../storage/index.js";
import type { DeadlockRequest, DeadlockTransport } from "../txn/index.js";
import { foundOf, requestToProto } from "./deadlock_messages.js";
import { type RaftSource, SOURCE_CLUSTER_ID, SOURCE_STORE_ID } from "./raft_channel.js";

const DETECT = methodInfo("deadlock.Deadlock", "Detect");
/** Requests that have not left, above which more are lost: their waits time out. */
const UNSENT_MAX = 4096;

type Stream = ClientDuplexStream<deadlock.IDeadlockRequest, deadlock.DeadlockResponse>;

/** What PD is asked. */
export interface DeadlockDirectory extends Pick<SchedulePort, "getStoreAddress"> {
  /** The region that holds `key` as it stands in boundaries, and who leads it. */
  getRegion(key: Uint8Array): Promise<
    | {
        readonly ok: true;
        readonly value: { readonly leader: { readonly storeId: bigint } | undefined } | undefined;
      }
    | { readonly ok: false; readonly error: { readonly message: string } }
  >;
}

export interface DeadlockClientDeps {
  /** This store. */
  readonly own: RaftSource;
  readonly pd: DeadlockDirectory;
  readonly logger: Logger;
  /** Longest time to a ready connection, ms. */
  readonly connectTimeoutMs: number;
}

/** One attempt, from asking PD until its stream ends. */
interface Attempt {
  client?: Client;
  stream?: Stream;
}

export class DeadlockClient implements DeadlockTransport {
  #attempt: Attempt | undefined;

  constructor(
    private readonly deps: DeadlockClientDeps,
    private readonly hooks: DeadlockHooks,
  ) {}

  connect(): void {
    const attempt: Attempt = {};
    this.#attempt = attempt;
    this.#open(attempt).catch((error: Error) => this.#over(attempt, error.message));
  }

  send(request: DeadlockRequest): void {
    const stream = this.#attempt?.stream;
    if (stream === undefined || stream.writableLength >= UNSENT_MAX) return;
    stream.write(requestToProto(request));
  }

  close(): void {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    if (attempt !== undefined) release(attempt);
  }

  async #open(attempt: Attempt): Promise<void> {
    const address = await this.#leaderAddress();
    if (attempt !== this.#attempt) return;
    const client = new Client(address, credentials.createInsecure(), {
      "grpc.enable_http_proxy": 0,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_channelz": 0,
    });
    attempt.client = client;
    await new Promise<void>((resolve, reject) => {
      const deadline = Date.now() + this.deps.connectTimeoutMs;
      client.waitForReady(deadline, (error) => (error === undefined ? resolve() : reject(error)));
    });
    if (attempt !== this.#attempt) return;
    attempt.stream = this.#stream(attempt, client);
    this.deps.logger.info("connected to the leader of deadlock detection", { address });
    this.hooks.onConnected();
  }

  #stream(attempt: Attempt, client: Client): Stream {
    const { own } = this.deps;
    const metadata = new Metadata();
    metadata.set(SOURCE_STORE_ID, String(own.storeId));
    metadata.set(SOURCE_CLUSTER_ID, String(own.clusterId));
    const stream = client.makeBidiStreamRequest(
      DETECT.path,
      serializer(DETECT.request),
      deserializer(DETECT.response),
      metadata,
    );
    stream.on("data", (response: deadlock.DeadlockResponse) => {
      if (attempt === this.#attempt) this.hooks.onFound(foundOf(response));
    });
    stream.on("error", (error: Error) => this.#over(attempt, error.message));
    stream.on("end", () => this.#over(attempt, "the stream ended"));
    return stream;
  }

  /** Throws when PD knows no leader, or this store is it: its own role change is under way. */
  async #leaderAddress(): Promise<string> {
    const { pd, own } = this.deps;
    const region = await pd.getRegion(EMPTY_BYTES);
    if (!region.ok) throw new Error(region.error.message);
    const leader = region.value?.leader;
    if (leader === undefined) throw new Error("the region of the empty key has no leader");
    if (leader.storeId === BigInt(own.storeId)) throw new Error("PD names this store itself");
    const found = await pd.getStoreAddress(leader.storeId);
    if (!found.ok) throw new Error(found.error.message);
    if (found.value.removed) throw new Error(`store ${leader.storeId} is removed`);
    return found.value.address;
  }

  #over(attempt: Attempt, reason: string): void {
    if (attempt !== this.#attempt) return;
    this.#attempt = undefined;
    release(attempt);
    this.deps.logger.warn("no way to the leader of deadlock detection", { reason });
    this.hooks.onDisconnected();
  }
}

function release({ stream, client }: Attempt): void {
  stream?.cancel();
  client?.close();
}
