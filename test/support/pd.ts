/** An embedded PD for tests, and a plain gRPC client of it. */
import { Client, type ClientDuplexStream, credentials, type ServiceError } from "@grpc/grpc-js";
import { NULL_METRICS, u64FromParts } from "../../src/base/index.js";
import { openEngine } from "../../src/engine/index.js";
import {
  fromBigInt,
  type MethodInfo,
  type MethodName,
  type MethodOf,
  methodDefinition,
  methodInfo,
  type pdpb,
  type ServiceName,
  toBigInt,
} from "../../src/pb/index.js";
import {
  PD_DEFAULTS,
  PD_LIMITS,
  type Pd,
  type PdDeps,
  type PdLimits,
  type PdOptions,
  startPd,
} from "../../src/pd/index.js";
import { REAL_CLOCK } from "./clocks.js";
import { LogLines } from "./log_lines.js";

export interface TestPd {
  readonly pd: Pd;
  readonly port: number;
  readonly logs: LogLines;
  readonly client: PdTestClient;
  stop(): Promise<void>;
}

export interface TestPdOptions {
  readonly options?: Partial<PdOptions>;
  readonly limits?: Partial<PdLimits>;
  readonly deps?: Partial<PdDeps>;
}

/** Starts a PD on a free port of loopback, in memory unless `options` name a directory. */
export async function startTestPd(given: TestPdOptions = {}): Promise<TestPd> {
  const logs = new LogLines();
  const memory = given.options?.dataDir === undefined;
  const pd = await startPd(
    {
      ...PD_DEFAULTS,
      port: 0,
      binding: memory ? "memory" : "rocksdb",
      ...given.options,
      limits: { ...PD_LIMITS, shutdownGraceMs: 500, ...given.limits },
    },
    {
      openEngine,
      clock: REAL_CLOCK,
      logger: logs,
      metrics: NULL_METRICS,
      onFatal: (error) => {
        throw error;
      },
      randomU32: () => 0xdead_beef,
      ...given.deps,
    },
  );
  const client = new PdTestClient(pd.address, pd.clusterId);
  const stop = async (): Promise<void> => {
    client.close();
    await pd.stop();
  };
  return { pd, port: Number(pd.address.split(":").at(-1)), logs, client, stop };
}

type Request<S extends ServiceName, M extends MethodName<S>> =
  MethodOf<S, M> extends MethodInfo<infer ReqIn, infer _Q, infer _I, infer _R> ? ReqIn : never;
type Response<S extends ServiceName, M extends MethodName<S>> =
  MethodOf<S, M> extends MethodInfo<infer _In, infer _Q, infer _I, infer Res> ? Res : never;

export class PdTestClient {
  private readonly client: Client;
  readonly header: pdpb.IRequestHeader;

  constructor(address: string, clusterId: bigint) {
    // A connection of its own (clients of one address share one otherwise), and no retries, whose
    // bookkeeping is quadratic in the messages that a stream has under way.
    const options = { "grpc.use_local_subchannel_pool": 1, "grpc.enable_retries": 0 };
    this.client = new Client(address, credentials.createInsecure(), options);
    this.header = { clusterId: fromBigInt(clusterId) };
  }

  /** Calls any unary method; `request` is sent as it is. Rejects with grpc-js's ServiceError. */
  callRaw<S extends ServiceName, M extends MethodName<S>>(
    service: S,
    method: M,
    request: Request<S, M>,
  ): Promise<Response<S, M>> {
    const definition = methodDefinition(
      methodInfo(service, method) as unknown as MethodInfo<object, object, object, object>,
    );
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        request as object,
        { deadline: Date.now() + 10_000 },
        (error, response) => {
          if (error !== null) reject(error);
          else resolve(response as Response<S, M>);
        },
      );
    });
  }

  /** Calls a unary method of pdpb.PD with this cluster's header. */
  call<M extends MethodName<"pdpb.PD">>(
    method: M,
    request: Omit<Request<"pdpb.PD", M>, "header">,
  ): Promise<Response<"pdpb.PD", M>> {
    const whole = { header: this.header, ...request } as Request<"pdpb.PD", M>;
    return this.callRaw("pdpb.PD", method, whole);
  }

  /** Opens a stream of pdpb.PD. */
  stream<M extends MethodName<"pdpb.PD">>(
    method: M,
  ): ClientDuplexStream<Request<"pdpb.PD", M>, Response<"pdpb.PD", M>> {
    const definition = methodDefinition(
      methodInfo("pdpb.PD", method) as unknown as MethodInfo<object, object, object, object>,
    );
    return this.client.makeBidiStreamRequest(
      definition.path,
      definition.requestSerialize,
      definition.responseDeserialize,
    ) as never;
  }

  /** Takes `count` timestamps on a stream of its own; returns the largest of them. */
  async timestamp(count = 1): Promise<bigint> {
    const stream = this.stream("Tso");
    const answers = collect(stream);
    stream.write({ header: this.header, count });
    stream.end();
    const { messages, error } = await answers;
    if (error !== undefined) throw error;
    return tsOf(messages[0] as pdpb.TsoResponse);
  }

  close(): void {
    this.client.close();
  }
}

/** Resolves with all messages of a stream and how it ended: an error, or undefined for OK. */
export function collect<T>(stream: ClientDuplexStream<never, T> | ClientDuplexStream<object, T>) {
  return new Promise<{ messages: T[]; error: ServiceError | undefined }>((resolve) => {
    const messages: T[] = [];
    stream.on("data", (message: T) => messages.push(message));
    stream.on("error", (error: ServiceError) => resolve({ messages, error }));
    stream.on("end", () => resolve({ messages, error: undefined }));
  });
}

/** Returns the 64-bit timestamp of an answer. */
export function tsOf(response: pdpb.TsoResponse | pdpb.GetMinTSResponse): bigint {
  const timestamp = response.timestamp as pdpb.Timestamp;
  return (toBigInt(timestamp.physical) << 18n) + toBigInt(timestamp.logical);
}

/** A store for requests, at `address`. */
export function testStore(
  id: bigint,
  address: string,
  more: Partial<pdpb.IPutStoreRequest["store"]> = {},
) {
  return { id: fromBigInt(id), address, version: "8.5.0", ...more };
}

/** The first region for a Bootstrap of store `storeId`. */
export function testRegion(storeId: bigint, regionId = 2n, peerId = 3n) {
  return {
    id: fromBigInt(regionId),
    regionEpoch: { confVer: 1, version: 1 },
    peers: [{ id: fromBigInt(peerId), storeId: fromBigInt(storeId) }],
  };
}

/** u64 beyond 2^53, to show that nothing is rounded. */
export const LARGE_ID = u64FromParts(0xffff_fff1, 0xffff_ffff);
