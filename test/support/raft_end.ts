/** Stores that have nothing but their transport, on loopback; for integration tests. */
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { NULL_METRICS } from "../../src/base/index.js";
import { loadKernels } from "../../src/kernel/index.js";
import { realTimers } from "../../src/node/real_timers.js";
import { type MethodName, methodsOf, serviceDefinition } from "../../src/pb/index.js";
import {
  RAFT_TRANSPORT_DEFAULTS,
  type RaftTransport,
  type RaftTransportOptions,
  startRaftTransport,
} from "../../src/server/index.js";
import { type FakeDirectory, QUIET_LOGGER, RecordedEvents } from "./fake_raft_net.js";
import { FakeSnapshots } from "./fake_snapshots.js";
import { type BoundServer, serveGrpc } from "./grpc_server.js";

const CLUSTER = 7n;
const METHODS = Object.keys(methodsOf("tikvpb.Tikv")) as MethodName<"tikvpb.Tikv">[];
/** Short waits, so that failures are over soon. */
export const QUICK: Partial<RaftTransportOptions> = { reconnectBackoffMs: 20, maxBackoffMs: 200 };

/** Serves handlers for raw bytes under tikvpb.Tikv; what is missing is UNIMPLEMENTED. */
export function serveRaft(handlers: UntypedServiceImplementation, port = 0): Promise<BoundServer> {
  return serveGrpc([[serviceDefinition("tikvpb.Tikv", METHODS), handlers]], port);
}

export interface RaftEnd {
  readonly storeId: number;
  readonly raft: RaftTransport;
  readonly events: RecordedEvents;
  readonly snapshots: FakeSnapshots;
  server: BoundServer;
  stop(): void;
}

export interface EndOptions {
  readonly transport?: Partial<RaftTransportOptions>;
  readonly clusterId?: bigint;
  readonly port?: number;
  /** Methods that are not served. */
  readonly without?: readonly string[];
}

/** Starts store `storeId` and enters its address into `pd`. */
export async function startRaftEnd(
  storeId: number,
  pd: FakeDirectory,
  options: EndOptions = {},
): Promise<RaftEnd> {
  const events = new RecordedEvents();
  const snapshots = new FakeSnapshots();
  const raft = startRaftTransport(
    { storeId, clusterId: options.clusterId ?? CLUSTER },
    { ...RAFT_TRANSPORT_DEFAULTS, ...QUICK, ...options.transport },
    {
      events,
      snapshots,
      pd,
      kernels: loadKernels({ poison: true, memoryBytes: 32 << 20 }),
      timers: realTimers,
      logger: QUIET_LOGGER,
      metrics: NULL_METRICS,
    },
  );
  const all = Object.entries(raft.service.handlers());
  const handlers = Object.fromEntries(all.filter(([name]) => !options.without?.includes(name)));
  const server = await serveRaft(handlers, options.port);
  pd.stores.set(BigInt(storeId), { address: server.address, removed: false });
  return {
    storeId,
    raft,
    events,
    snapshots,
    server,
    stop() {
      raft.close();
      server.stop();
    },
  };
}
