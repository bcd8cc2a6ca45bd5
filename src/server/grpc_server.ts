/**
 * The store's gRPC server: services, limits, start and ordered stop. It listens through a front
 * that tells protocols apart, so that a wrong one is closed with a clear log line.
 */
import type { Socket } from "node:net";
import {
  type ServerOptions as GrpcOptions,
  Server,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { assert, type Clock, type Logger, type MetricsRegistry } from "../base/index.js";
import type { Kernels } from "../kernel/index.js";
import { type Front, type GrpcInjector, grpcInjector, listenFront } from "../net/index.js";
import { type MethodName, methodsOf, serviceDefinition } from "../pb/index.js";
import type { Storage } from "../storage/index.js";
import { BatchCommands } from "./batch_commands.js";
import { DeadlockService } from "./deadlock_service.js";
import { debugHandlers } from "./debug_service.js";
import { internal } from "./grpc_status.js";
import { Health } from "./health.js";
import { type BatchCounters, newBatchCounters, registerServerMetrics } from "./metrics.js";
import type { ServerOptions } from "./options.js";
import type { RaftService } from "./raft_transport.js";
import { RequestGuard } from "./request_guard.js";
import { TIKV_RPCS, unaryHandlers } from "./tikv_service.js";
import { TXN_RPCS } from "./txn_service.js";

export interface ListenDeps {
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly clock: Clock;
  /** The kernels of this thread. */
  readonly kernels: Kernels;
}

export interface ServerDeps extends ListenDeps {
  readonly storage: Storage;
  readonly raft?: RaftService | undefined;
}

/** A bound port without a store behind it. */
export interface TikvListener {
  readonly port: number;
  /**
   * Serves from here on. Call once; until then connections are closed as if nobody listened.
   * Without `raft`, streams of other stores are UNIMPLEMENTED.
   */
  serve(storage: Storage, raft?: RaftService): TikvServer;
  /** Ends a listener that never served. */
  close(): Promise<void>;
}

export interface TikvServer {
  /** "host:port" that is really bound. */
  readonly address: string;
  readonly port: number;
  readonly counters: Readonly<BatchCounters>;
  /**
   * Answers NOT_SERVING, takes no new connections, lets requests finish for at most `drainMs`,
   * then cuts what is left. Idempotent.
   */
  stop(drainMs: number): Promise<void>;
}

/** The methods whose handlers take and give bytes: all of tikvpb.Tikv. */
const RAW_METHODS = Object.keys(methodsOf("tikvpb.Tikv")) as MethodName<"tikvpb.Tikv">[];

function grpcOptions(options: ServerOptions): GrpcOptions {
  return {
    "grpc.max_concurrent_streams": options.concurrentStreams,
    "grpc.max_receive_message_length": options.receiveMessageMaxBytes,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": options.keepaliveTimeMs,
    "grpc.keepalive_timeout_ms": options.keepaliveTimeoutMs,
    // Channelz keeps counters and a log for every connection; metrics do that job here.
    "grpc.enable_channelz": 0,
  };
}

/** BatchCommands is taken over by its interceptor; grpc-js only needs to know the method. */
const BATCH_HANDLER: UntypedServiceImplementation = {
  BatchCommands: (call: { emit(event: "error", status: object): void }) => {
    call.emit("error", internal("BatchCommands was not taken over"));
  },
};

/**
 * Binds the port. A store does this first, because PD is told the port that is really bound, and
 * storage exists only after PD has answered. Rejects with RUTILE:Net:AddressInUse or
 * RUTILE:Net:Listen when the address cannot be bound.
 */
export async function listenTikvServer(
  options: ServerOptions,
  deps: ListenDeps,
): Promise<TikvListener> {
  let services: Services | undefined;
  const h2 = (socket: Socket): void => {
    if (services === undefined) {
      socket.destroy();
      return;
    }
    services.guard.addConnection(socket);
    services.injector.inject(socket);
  };
  const front = await listenFront(options, { h2 }, deps);
  return {
    port: front.port,
    serve(storage, raft) {
      assert(services === undefined, "a listener serves one store");
      services = createServices(options, { ...deps, storage, raft });
      return runningServer({ ...services, front });
    },
    close: () => front.destroy(),
  };
}

/** Binds the port and serves at once; rejects as `listenTikvServer` does. */
export async function startTikvServer(
  options: ServerOptions,
  deps: ServerDeps,
): Promise<TikvServer> {
  const listener = await listenTikvServer(options, deps);
  return listener.serve(deps.storage, deps.raft);
}

interface Services {
  readonly health: Health;
  readonly batch: BatchCommands;
  readonly guard: RequestGuard;
  readonly injector: GrpcInjector;
  readonly counters: BatchCounters;
  readonly raft: RaftService | undefined;
  readonly deadlocks: DeadlockService;
}

function createServices(options: ServerOptions, deps: ServerDeps): Services {
  const { storage, logger, clock, kernels } = deps;
  const counters = newBatchCounters();
  const metrics = registerServerMetrics(deps.metrics, counters, kernels);
  const health = new Health(storage.storeId, clock);
  const context = { storage, logger, clock };
  const rpcs = [...TIKV_RPCS, ...TXN_RPCS, health.feedbackRpc()];
  const batch = new BatchCommands(options, {
    context,
    kernels,
    clock,
    logger,
    health,
    rpcs,
    counters,
    metrics,
  });
  const guard = new RequestGuard(options, clock, logger);
  const server = new Server({
    ...grpcOptions(options),
    interceptors: [guard.interceptor, batch.interceptor],
  });
  server.addService(serviceDefinition("tikvpb.Tikv", RAW_METHODS), {
    ...unaryHandlers(rpcs, { context, metrics, clock }),
    ...BATCH_HANDLER,
    ...deps.raft?.handlers(),
  });
  server.addService(serviceDefinition("grpc.health.v1.Health"), health.handlers());
  server.addService(serviceDefinition("debugpb.Debug"), debugHandlers(storage));
  const deadlocks = new DeadlockService(storage.txn);
  server.addService(serviceDefinition("deadlock.Deadlock"), deadlocks.handlers());
  const injector = grpcInjector(server);
  return { health, batch, guard, injector, counters, raft: deps.raft, deadlocks };
}

function runningServer(running: Running): TikvServer {
  const { front, counters } = running;
  let stopping: Promise<void> | undefined;
  return {
    address: `${front.host}:${front.port}`,
    port: front.port,
    counters,
    stop(drainMs) {
      stopping ??= stop(drainMs, running);
      return stopping;
    },
  };
}

interface Running extends Services {
  readonly front: Front;
}

async function stop(drainMs: number, running: Running): Promise<void> {
  running.health.drain();
  await running.front.stopListening();
  running.batch.drain();
  const shutdown = running.injector.shutdown(drainMs);
  // Requests that run may need the other stores' messages to get their answers.
  await Promise.race([running.guard.idle(), shutdown]);
  running.raft?.stop();
  running.deadlocks.stop();
  await shutdown;
  running.batch.stop();
  running.guard.stop();
  await running.front.destroy();
}
