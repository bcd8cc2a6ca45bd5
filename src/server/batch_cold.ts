/**
 * The cold path of BatchCommands: one request at a time through the same entries as unary calls.
 * It owns a copy of the request's bytes, so it may outlive the turn.
 */

import { CMD_EMPTY } from "../kernel/index.js";
import { tikvpb } from "../pb/index.js";
import type { BatchStream } from "./batch_stream.js";
import { UNSUPPORTED_RPCS } from "./batch_unsupported.js";
import { type GrpcStatus, invalidArgument } from "./grpc_status.js";
import type { ServerMetrics } from "./metrics.js";
import { isStatus, type Rpc, type RpcContext, type Served } from "./rpc.js";

const CMD_GET_HEALTH_FEEDBACK = 39;
export const CMD_KV_GET = 1;
export const CMD_KV_BATCH_GET = 7;

/** A KvGet or KvBatchGet of a stream, with a copy of its bytes. */
export interface ColdGet {
  readonly stream: BatchStream;
  readonly idLow: number;
  readonly idHigh: number;
  readonly body: Uint8Array;
}

/** Echoes test_id; `delay_time` is a test aid of TiKV's and is not waited for. */
function emptyBody(request: Uint8Array): Uint8Array | GrpcStatus {
  try {
    const { testId } = tikvpb.BatchCommandsEmptyRequest.decode(request);
    return tikvpb.BatchCommandsEmptyResponse.encode({ testId }).finish();
  } catch {
    return invalidArgument("cannot decode the request: BatchCommandsEmptyRequest");
  }
}

export class ColdPath {
  readonly context: RpcContext;
  readonly #rpcs = new Map<number, Rpc>();
  /** Whether a client asked for health feedback since the last turn's messages. */
  feedbackWanted = false;

  constructor(
    context: RpcContext,
    rpcs: readonly Rpc[],
    private readonly metrics: Pick<ServerMetrics, "observeCalls">,
  ) {
    this.context = context;
    for (const rpc of [...UNSUPPORTED_RPCS, ...rpcs]) {
      if (rpc.cmd !== 0) this.#rpcs.set(rpc.cmd, rpc);
    }
  }

  /**
   * Serves one request of `stream`; its answer becomes a completion, now or later. A status ends
   * the stream, as in TiKV. `body` belongs to the call from here on.
   */
  dispatch(
    stream: BatchStream,
    idLow: number,
    idHigh: number,
    cmd: number,
    body: Uint8Array,
  ): void {
    const { clock } = this.context;
    const startMs = clock.monotonicMs();
    const finish = (served: Served | undefined): void => {
      this.observe(cmd, clock.monotonicMs() - startMs, 1);
      if (served !== undefined && isStatus(served)) {
        stream.fail(served);
        // A closed stream drops the answer, but it counts as given.
        stream.complete({ idLow, idHigh, cmd, body: undefined });
      } else stream.complete({ idLow, idHigh, cmd, body: served });
    };
    const served = this.#serve(cmd, body);
    if (served instanceof Promise) void served.then(finish);
    else finish(served);
  }

  /** Requests that were answered, each after this time. */
  observe(cmd: number, ms: number, count: number): void {
    const type = this.#rpcs.get(cmd)?.metric;
    if (type !== undefined) this.metrics.observeCalls(type, ms / 1000, count);
  }

  #serve(cmd: number, body: Uint8Array): Served | undefined | Promise<Served> {
    if (cmd === 0) return undefined;
    if (cmd === CMD_EMPTY) return emptyBody(body);
    if (cmd === CMD_GET_HEALTH_FEEDBACK) this.feedbackWanted = true;
    return this.#rpcs.get(cmd)?.serve(this.context, body);
  }
}
