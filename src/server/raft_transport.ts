/**
 * Everything between this store and the others: outgoing messages and snapshots, and the services
 * that take theirs. One for a store.
 */
import { performance } from "node:perf_hooks";
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Logger, MetricsRegistry, Timers } from "../base/index.js";
import type { Kernels } from "../kernel/index.js";
import {
  MessageCodec,
  type RaftEvents,
  type SchedulePort,
  type SnapshotManager,
  type Transport,
} from "../raftstore/index.js";
import type { CheckLeaderPort } from "../storage/index.js";
import { CheckLeaderClient } from "./check_leader.js";
import { grpcChannels, type OpenRaftChannel, type RaftSource } from "./raft_channel.js";
import { RaftClient } from "./raft_client.js";
import { newRaftCounters, type RaftCounters, registerRaftMetrics } from "./raft_metrics.js";
import type { RaftTransportOptions } from "./raft_options.js";
import { type RaftCall, RaftServer, type Respond } from "./raft_server.js";
import { StoreResolver } from "./resolve.js";
import { SnapReceiver } from "./snap_receiver.js";

/** The methods of tikvpb.Tikv that other stores call, for a gRPC server with raw bytes. */
export interface RaftService {
  handlers(): UntypedServiceImplementation;
  /** Ends all incoming streams; new ones are refused. */
  stop(): void;
}

export interface RaftTransportDeps {
  readonly events: RaftEvents;
  readonly snapshots: Pick<SnapshotManager, "open" | "receive">;
  readonly pd: Pick<SchedulePort, "getStoreAddress">;
  readonly kernels: Kernels;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Share of time in which the event loop was busy lately; default: this thread's. */
  readonly utilization?: () => number;
  /** Default: grpc-js. */
  readonly connect?: OpenRaftChannel;
}

export interface RaftTransport {
  readonly transport: Transport;
  readonly service: RaftService;
  /** Tells other stores how far they may answer stale reads. */
  readonly checkLeader: CheckLeaderPort;
  readonly counters: Readonly<RaftCounters>;
  /** Cuts all streams, in both directions. Idempotent. */
  close(): void;
}

/** Windows over which utilisation is measured, ms. */
const UTILIZATION_WINDOW_MS = 100;

/** Returns a function that tells how busy this thread's event loop was, 0 to 1. */
function eventLoopUtilization(): () => number {
  let since = performance.eventLoopUtilization();
  let sinceMs = performance.now();
  let last = 0;
  return () => {
    const now = performance.now();
    if (now - sinceMs < UTILIZATION_WINDOW_MS) return last;
    const current = performance.eventLoopUtilization();
    last = performance.eventLoopUtilization(current, since).utilization;
    since = current;
    sinceMs = now;
    return last;
  };
}

/** Starts the traffic of store `own`; connections are made when there is something to say. */
export function startRaftTransport(
  own: RaftSource,
  options: RaftTransportOptions,
  deps: RaftTransportDeps,
): RaftTransport {
  const counters = newRaftCounters();
  const observer = registerRaftMetrics(deps.metrics, counters);
  const codec = new MessageCodec(deps.kernels);
  const { events, snapshots, pd, timers, logger } = deps;
  const defer = (turn: () => void): void => void setImmediate(turn);
  const shared = { codec, events, snapshots, pd, timers, logger, counters, observer };
  const client = new RaftClient(options, {
    ...shared,
    connect: deps.connect ?? grpcChannels(own, options),
    utilization: deps.utilization ?? eventLoopUtilization(),
  });
  const server = new RaftServer(own, { ...shared, defer });
  const receiver = new SnapReceiver(own, options, shared);
  const checkLeader = new CheckLeaderClient({ resolver: new StoreResolver(pd, counters), logger });
  const stop = (): void => {
    server.stop();
    receiver.stop();
  };
  return {
    transport: client,
    service: {
      handlers: () => ({
        ...server.handlers(),
        Snapshot: (call: RaftCall, respond: Respond) => receiver.open(call, respond),
      }),
      stop,
    },
    checkLeader,
    counters,
    close() {
      stop();
      client.close();
      checkLeader.close();
    },
  };
}
