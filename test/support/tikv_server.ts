/** A store behind its gRPC server on loopback, with grpc-js clients; for integration tests. */
import { Client, type ClientDuplexStream, credentials, type ServiceError } from "@grpc/grpc-js";
import { NULL_METRICS } from "../../src/base/index.js";
import { type KernelOptions, type Kernels, loadKernels } from "../../src/kernel/index.js";
import {
  fromBigInt,
  type kvrpcpb,
  type MethodName,
  type MethodOf,
  methodDefinition,
  methodInfo,
  tikvpb,
  toBigInt,
} from "../../src/pb/index.js";
import {
  SERVER_DEFAULTS,
  type ServerDeps,
  type ServerOptions,
  startTikvServer,
  type TikvServer,
} from "../../src/server/index.js";
import type { Storage, TxnStorage } from "../../src/storage/index.js";
import { type Fixture, type FixtureOptions, startFixture } from "./store_fixture.js";

export interface ServedOptions extends FixtureOptions {
  readonly server?: Partial<ServerOptions>;
  readonly serverDeps?: Partial<ServerDeps>;
  readonly kernel?: KernelOptions;
  /** Serves this in place of the store's own transactions. */
  readonly txn?: TxnStorage;
}

type Tikv = "tikvpb.Tikv";
type RequestOf<M extends MethodName<Tikv>> = Parameters<MethodOf<Tikv, M>["request"]["encode"]>[0];
type ResponseOf<M extends MethodName<Tikv>> = ReturnType<MethodOf<Tikv, M>["response"]["decode"]>;

/** A running store with its server; `stop` ends everything that it started. */
export class Served {
  readonly #clients: Client[] = [];

  constructor(
    readonly fixture: Fixture,
    readonly server: TikvServer,
    readonly kernels: Kernels,
  ) {}

  /** The wire context that the store's region accepts. */
  get context(): kvrpcpb.IContext {
    const { ctx, store } = this.fixture;
    return {
      regionId: fromBigInt(ctx.regionId),
      regionEpoch: { confVer: fromBigInt(ctx.confVer), version: fromBigInt(ctx.version) },
      peer: { id: fromBigInt(ctx.peerId), storeId: fromBigInt(ctx.storeId) },
      clusterId: fromBigInt(store.clusterId),
      apiVersion: ctx.apiVersion,
    };
  }

  /** Returns a client with its own connection. */
  connect(): Client {
    const client = new Client(this.server.address, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
    });
    this.#clients.push(client);
    return client;
  }

  async stop(drainMs = 100): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.server.stop(drainMs);
    await this.fixture.store.stop();
    await this.fixture.engine.close();
  }
}

/** Starts a store (memory engine unless given) and its server on a free port. */
export async function startServed(options: ServedOptions = {}): Promise<Served> {
  const fixture = await startFixture(options);
  const kernels = loadKernels({ poison: true, memoryBytes: 24 << 20, ...options.kernel });
  const server = await startTikvServer(
    { ...SERVER_DEFAULTS, port: 0, ...options.server },
    {
      storage: withTxn(fixture.store.storage, options.txn),
      logger: options.logger ?? { ...NULL_TEST_LOGGER },
      metrics: NULL_METRICS,
      clock: fixture.clock,
      kernels,
      ...options.serverDeps,
    },
  );
  return new Served(fixture, server, kernels);
}

/** The storage with other transactions; everything else is its own. */
function withTxn(storage: Storage, txn: TxnStorage | undefined): Storage {
  return txn === undefined ? storage : Object.create(storage, { txn: { value: txn } });
}

const NULL_TEST_LOGGER = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: (message: string, fields?: unknown, error?: unknown) => {
    console.log("server error:", message, fields, error);
  },
  child: () => NULL_TEST_LOGGER,
};

/** Calls a unary method of tikvpb.Tikv; rejects with grpc-js's ServiceError. */
export function unary<M extends MethodName<Tikv>>(
  client: Client,
  method: M,
  request: RequestOf<M>,
): Promise<ResponseOf<M>> {
  const info = methodInfo("tikvpb.Tikv", method) as unknown as MethodOf<Tikv, "RawGet">;
  const { path, requestSerialize, responseDeserialize } = methodDefinition(info);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request as never,
      (error: ServiceError | null, response?: unknown) => {
        if (error !== null) reject(error);
        else resolve(response as ResponseOf<M>);
      },
    );
  });
}

type BatchRequest = tikvpb.BatchCommandsRequest.IRequest;
type BatchResponse = tikvpb.BatchCommandsResponse.Response;

/** A BatchCommands stream: requests with ids out, answers by id in. */
export class BatchClient {
  readonly stream: ClientDuplexStream<Uint8Array, Buffer>;
  /** Every answer received, by id. */
  readonly answers = new Map<bigint, BatchResponse>();
  readonly messages: tikvpb.BatchCommandsResponse[] = [];
  readonly ended: Promise<ServiceError | undefined>;
  readonly #waiting = new Map<bigint, (response: BatchResponse) => void>();
  #nextId = 1n;

  constructor(client: Client) {
    this.stream = client.makeBidiStreamRequest(
      "/tikvpb.Tikv/BatchCommands",
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => bytes,
    );
    this.stream.on("data", (bytes: Buffer) => this.#onMessage(bytes));
    this.ended = new Promise((resolve) => {
      this.stream.on("error", (error: ServiceError) => resolve(error));
      this.stream.on("end", () => setImmediate(() => resolve(undefined)));
    });
  }

  /** Sends raw bytes as one message. */
  sendBytes(bytes: Uint8Array): void {
    this.stream.write(bytes);
  }

  /** Sends one message with `requests`; resolves with their answers in the same order. */
  call(...requests: BatchRequest[]): Promise<BatchResponse[]> {
    const ids = requests.map(() => this.#nextId++);
    const answers = ids.map(
      (id) => new Promise<BatchResponse>((resolve) => this.#waiting.set(id, resolve)),
    );
    const requestIds = ids.map(fromBigInt);
    this.sendBytes(tikvpb.BatchCommandsRequest.encode({ requests, requestIds }).finish());
    return Promise.all(answers);
  }

  #onMessage(bytes: Buffer): void {
    const message = tikvpb.BatchCommandsResponse.decode(bytes);
    this.messages.push(message);
    message.requestIds.forEach((wireId, index) => {
      const id = toBigInt(wireId);
      const response = message.responses[index] as BatchResponse;
      this.answers.set(id, response);
      this.#waiting.get(id)?.(response);
      this.#waiting.delete(id);
    });
  }
}
