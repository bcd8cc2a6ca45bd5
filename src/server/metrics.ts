/**
 * Metrics of the gRPC layer, with TiKV's names where it has them. Hot code counts in plain numbers
 * (BatchCounters, the kernels' calls), which are copied out at scrape time.
 */
import {
  type Counter,
  exponentialBuckets,
  type MetricsRegistry,
  snakeCase,
} from "../base/index.js";
import { KERNEL_IMPLS, KERNEL_NAMES, type Kernels } from "../kernel/index.js";

/** What the batch path counts, since start. */
export interface BatchCounters {
  turns: number;
  frames: number;
  requests: number;
  gets: number;
  writes: number;
  cold: number;
  responses: number;
  messages: number;
  refusedFrames: number;
  oversizeFrames: number;
  /** Requests without an answer yet. */
  inflight: number;
  streams: number;
}

/** Returns counters at zero. */
export function newBatchCounters(): BatchCounters {
  return {
    turns: 0,
    frames: 0,
    requests: 0,
    gets: 0,
    writes: 0,
    cold: 0,
    responses: 0,
    messages: 0,
    refusedFrames: 0,
    oversizeFrames: 0,
    inflight: 0,
    streams: 0,
  };
}

const BATCH_SIZE_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096];

const COUNTED = [
  ["turns", "Turns of the event loop that served BatchCommands."],
  ["frames", "BatchCommandsRequest messages."],
  ["requests", "Requests inside BatchCommands messages."],
  ["gets", "Point reads served in linear memory."],
  ["writes", "Puts and deletes built in linear memory."],
  ["cold", "Requests that were handled one by one."],
  ["responses", "Responses inside BatchCommands messages."],
  ["messages", "BatchCommandsResponse messages."],
  ["refusedFrames", "Messages that were refused as malformed."],
  ["oversizeFrames", "Messages larger than the arena, served by the twin."],
] as const satisfies readonly (readonly [keyof BatchCounters, string])[];

export interface ServerMetrics {
  /** Calls of one type that took as long as this each: unary ones, or requests of BatchCommands. */
  observeCalls(type: string, seconds: number, count?: number): void;
  countFailure(type: string): void;
  /** Requests and responses of one turn. */
  observeTurn(requests: number, responses: number): void;
}

/** Adds to a counter what a plain number has grown by since the last scrape. */
function growth(counter: Counter, labels?: Readonly<Record<string, string>>) {
  let last = 0;
  return (now: number): void => {
    if (now > last) counter.inc(now - last, labels);
    last = now;
  };
}

function registerBatch(registry: MetricsRegistry, counters: BatchCounters): void {
  const copies = COUNTED.map(([name, help]) => {
    const metric = `rutile_batch_commands_${snakeCase(name)}_total`;
    return { name, copy: growth(registry.counter({ name: metric, help })) };
  });
  const inflight = registry.gauge({
    name: "rutile_batch_commands_inflight",
    help: "Requests of BatchCommands streams without an answer yet.",
  });
  const streams = registry.gauge({
    name: "rutile_batch_commands_streams",
    help: "Open BatchCommands streams.",
  });
  registry.onCollect(() => {
    for (const { name, copy } of copies) copy(counters[name]);
    inflight.set(counters.inflight);
    streams.set(counters.streams);
  });
}

function registerKernels(registry: MetricsRegistry, kernels: Kernels): void {
  const counter = registry.counter({
    name: "kernel_calls_total",
    help: "Calls of kernels by who served them.",
    labelNames: ["kernel", "impl"],
  });
  const copies = KERNEL_NAMES.flatMap((kernel) =>
    KERNEL_IMPLS.map((impl) => ({ kernel, impl, copy: growth(counter, { kernel, impl }) })),
  );
  registry.onCollect(() => {
    for (const { kernel, impl, copy } of copies) copy(kernels.calls[kernel][impl]);
  });
}

/** Registers everything and returns what the unary path and the turns observe. */
export function registerServerMetrics(
  registry: MetricsRegistry,
  counters: BatchCounters,
  kernels: Kernels,
): ServerMetrics {
  const duration = registry.histogram({
    name: "tikv_grpc_msg_duration_seconds",
    help: "Time of a request to its answer, unary or in BatchCommands (plain raw ones of it apart).",
    labelNames: ["type"],
    buckets: exponentialBuckets(5e-5, 2, 22),
  });
  const failures = registry.counter({
    name: "tikv_grpc_msg_fail_total",
    help: "Requests that ended with a gRPC status other than OK.",
    labelNames: ["type"],
  });
  const requestSizes = registry.histogram({
    name: "tikv_server_grpc_req_batch_size",
    help: "Requests of BatchCommands streams a turn.",
    buckets: BATCH_SIZE_BUCKETS,
  });
  const responseSizes = registry.histogram({
    name: "tikv_server_grpc_resp_batch_size",
    help: "Responses of BatchCommands streams a turn.",
    buckets: BATCH_SIZE_BUCKETS,
  });
  registerBatch(registry, counters);
  registerKernels(registry, kernels);
  return {
    observeCalls: (type, seconds, count) => duration.observe(seconds, { type }, count),
    countFailure: (type) => failures.inc(1, { type }),
    observeTurn(requests, responses) {
      if (requests > 0) requestSizes.observe(requests);
      if (responses > 0) responseSizes.observe(responses);
    },
  };
}
