/**
 * The methods of tikvpb.Tikv that this store serves, as a table; all others are UNIMPLEMENTED.
 * Entries with a cmd also serve BatchCommands.
 */
import type { ServerUnaryCall, sendUnaryData, UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Clock } from "../base/index.js";
import { checkLeader } from "./check_leader.js";
import type { ServerMetrics } from "./metrics.js";
import {
  rawBatchDelete,
  rawBatchGet,
  rawBatchPut,
  rawBatchScan,
  rawChecksum,
  rawCompareAndSwap,
  rawDelete,
  rawDeleteRange,
  rawGet,
  rawGetKeyTtl,
  rawPut,
  rawScan,
  unsafeDestroyRange,
} from "./raw_handlers.js";
import { readIndex, splitRegion } from "./region_handlers.js";
import { isStatus, type Rpc, type RpcContext, rpc, type Served } from "./rpc.js";

/** Every method that is served by decoding, calling and encoding. */
export const TIKV_RPCS: readonly Rpc[] = [
  rpc("RawGet", 13, "raw_get", rawGet),
  rpc("RawBatchGet", 14, "raw_batch_get", rawBatchGet),
  rpc("RawPut", 15, "raw_put", rawPut),
  rpc("RawBatchPut", 16, "raw_batch_put", rawBatchPut),
  rpc("RawDelete", 17, "raw_delete", rawDelete),
  rpc("RawBatchDelete", 18, "raw_batch_delete", rawBatchDelete),
  rpc("RawScan", 19, "raw_scan", rawScan),
  rpc("RawDeleteRange", 20, "raw_delete_range", rawDeleteRange),
  rpc("RawBatchScan", 21, "raw_batch_scan", rawBatchScan),
  rpc("RawGetKeyTTL", 0, "raw_get_key_ttl", rawGetKeyTtl),
  rpc("RawCompareAndSwap", 0, "raw_compare_and_swap", rawCompareAndSwap),
  rpc("RawChecksum", 0, "raw_checksum", rawChecksum),
  rpc("UnsafeDestroyRange", 0, "unsafe_destroy_range", unsafeDestroyRange),
  rpc("SplitRegion", 0, "split_region", splitRegion),
  rpc("ReadIndex", 0, "read_index", readIndex),
  rpc("CheckLeader", 0, "check_leader", checkLeader),
];

interface UnaryDeps {
  readonly context: RpcContext;
  readonly metrics: ServerMetrics;
  readonly clock: Clock;
}

/** Returns grpc-js handlers that take and give bytes, by method name. */
export function unaryHandlers(
  rpcs: readonly Rpc[],
  { context, metrics, clock }: UnaryDeps,
): UntypedServiceImplementation {
  const handlers: UntypedServiceImplementation = {};
  for (const entry of rpcs) {
    handlers[entry.method] = (
      call: ServerUnaryCall<Buffer, Uint8Array>,
      respond: sendUnaryData<Uint8Array>,
    ): void => {
      const startMs = clock.monotonicMs();
      const finish = (served: Served): void => {
        metrics.observeCalls(entry.metric, (clock.monotonicMs() - startMs) / 1000);
        if (isStatus(served)) {
          metrics.countFailure(entry.metric);
          const { code, details } = served;
          respond({ code, details });
        } else respond(null, served);
      };
      const served = entry.serve(context, call.request);
      if (served instanceof Promise) void served.then(finish);
      else finish(served);
    };
  }
  return handlers;
}
