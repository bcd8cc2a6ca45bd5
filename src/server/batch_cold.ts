/**
 * The cold path of BatchCommands: one request at a time through the same entries as unary calls.
 * It owns a copy of the request's bytes, so it may outlive the turn.
 */

import { CMD_EMPTY } from "../kernel/index.js";
import { tikvpb } from "../pb/index.js";
import type { BatchStream } from "./batch_stream.js";
import { serveCommits, servePrewrites } from "./batch_txn_writes.js";
import { UNSUPPORTED_RPCS } from "./batch_unsupported.js";
import { type GrpcStatus, invalidArgument } from "./grpc_status.js";
import type { ServerMetrics } from "./metrics.js";
import { isStatus, type Rpc, type RpcContext, type Served } from "./rpc.js";

const CMD_GET_HEALTH_FEEDBACK = 39;
export const CMD_KV_GET = 1;
const CMD_KV_PREWRITE = 3;
const CMD_KV_COMMIT = 4;
export const CMD_KV_BATCH_GET = 7;
/** Commands that are served behind the turn that brought them, those of a kind together. */
export const CMDS_TOGETHER: readonly number[] = [CMD_KV_COMMIT, CMD_KV_PREWRITE];

/** A request of a stream, with a copy of its bytes. */
export interface ColdRequest {
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

/** Makes what was served a completion of its stream; a status ends the stream, unless it has a body. */
function finish(
  stream: BatchStream,
  idLow: number,
  idHigh: number,
  cmd: number,
  served: Served | undefined,
): void {
  if (served === undefined || !isStatus(served) || served.batched !== undefined) {
    const body = served !== undefined && isStatus(served) ? served.batched : served;
    stream.complete({ idLow, idHigh, cmd, body });
    return;
  }
  stream.fail(served);
  // A closed stream drops the answer, but it counts as given.
  stream.complete({ idLow, idHigh, cmd, body: undefined });
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
    const done = (served: Served | undefined): void => {
      this.observe(cmd, clock.monotonicMs() - startMs, 1);
      finish(stream, idLow, idHigh, cmd, served);
    };
    const served = this.#serve(cmd, body);
    if (served instanceof Promise) void served.then(done);
    else done(served);
  }

  /** Serves requests of one of CMDS_TOGETHER that arrived together. Not inside a turn of the arena. */
  dispatchTogether(cmd: number, requests: readonly ColdRequest[]): void {
    const { clock } = this.context;
    const startMs = clock.monotonicMs();
    const bodies = requests.map(({ body }) => body);
    const onServed = (place: number, served: Served): void => {
      const { stream, idLow, idHigh } = requests[place] as ColdRequest;
      this.observe(cmd, clock.monotonicMs() - startMs, 1);
      finish(stream, idLow, idHigh, cmd, served);
    };
    const serve = cmd === CMD_KV_PREWRITE ? servePrewrites : serveCommits;
    for (const place of serve(this.context, bodies, onServed)) {
      const { stream, idLow, idHigh, body } = requests[place] as ColdRequest;
      this.dispatch(stream, idLow, idHigh, cmd, body);
    }
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
