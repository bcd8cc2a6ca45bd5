/**
 * What the store says about its own health: grpc.health.v1, which clients ask after a failed send,
 * and TiKV's health feedback, which rides on batch responses. Not here: measuring slowness; the
 * score is constant until the store has a detector.
 */
import type {
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import type { Clock } from "../base/index.js";
import { fromBigInt, grpc, type kvrpcpb, tikvpb } from "../pb/index.js";
import { type Rpc, rpc } from "./rpc.js";

type CheckRequest = grpc.health.v1.HealthCheckRequest;
type CheckResponse = grpc.health.v1.IHealthCheckResponse;

const SERVING = grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING;
const NOT_SERVING = grpc.health.v1.HealthCheckResponse.ServingStatus.NOT_SERVING;
/** TiKV's score of a store that is not slow. */
const SLOW_SCORE_NONE = 1;
const FEEDBACK_INTERVAL_MS = 1000;
/** Services that Check knows; "" is the server as a whole. */
const SERVICES = ["", "tikvpb.Tikv"];

export class Health {
  readonly #storeId: bigint;
  readonly #clock: Clock;
  readonly #watchers = new Set<ServerWritableStream<CheckRequest, CheckResponse>>();
  #serving = true;
  /** Grows by one with each feedback; starts at the wall clock so that a restart is newer. */
  #feedbackSeq: bigint;
  #feedbackDueMs: number;

  constructor(storeId: bigint, clock: Clock) {
    this.#storeId = storeId;
    this.#clock = clock;
    this.#feedbackSeq = BigInt(Math.trunc(clock.nowMs()));
    this.#feedbackDueMs = clock.monotonicMs() + FEEDBACK_INTERVAL_MS;
  }

  get isServing(): boolean {
    return this.#serving;
  }

  /** Answers NOT_SERVING from here on. */
  drain(): void {
    this.#serving = false;
    for (const watcher of this.#watchers) {
      watcher.write({ status: NOT_SERVING });
      watcher.end();
    }
    this.#watchers.clear();
  }

  /** Returns the HealthFeedback message with the next sequence number. */
  nextFeedback(): kvrpcpb.IHealthFeedback {
    this.#feedbackSeq++;
    return {
      storeId: fromBigInt(this.#storeId),
      feedbackSeqNo: fromBigInt(this.#feedbackSeq),
      slowScore: SLOW_SCORE_NONE,
    };
  }

  /** Returns the entry of GetHealthFeedback. */
  feedbackRpc(): Rpc {
    return rpc("GetHealthFeedback", 39, "get_health_feedback", () => ({
      healthFeedback: this.nextFeedback(),
    }));
  }

  /**
   * Returns the encoded field of BatchCommandsResponse that carries a feedback: when `wanted`, or
   * when one is due; else undefined.
   */
  feedbackTail(wanted: boolean): Uint8Array | undefined {
    const now = this.#clock.monotonicMs();
    if (!wanted && now < this.#feedbackDueMs) return undefined;
    this.#feedbackDueMs = now + FEEDBACK_INTERVAL_MS;
    const healthFeedback = this.nextFeedback();
    return tikvpb.BatchCommandsResponse.encode({ healthFeedback }).finish();
  }

  /** Returns the handlers of grpc.health.v1.Health. */
  handlers(): UntypedServiceImplementation {
    return {
      Check: (
        call: ServerUnaryCall<CheckRequest, CheckResponse>,
        respond: sendUnaryData<CheckResponse>,
      ): void => {
        if (!SERVICES.includes(call.request.service)) {
          respond({ code: status.NOT_FOUND, details: "unknown service" });
        } else respond(null, { status: this.#serving ? SERVING : NOT_SERVING });
      },
      Watch: (call: ServerWritableStream<CheckRequest, CheckResponse>): void => {
        call.write({ status: this.#serving ? SERVING : NOT_SERVING });
        if (!this.#serving) call.end();
        else this.#watchers.add(call);
        call.on("cancelled", () => this.#watchers.delete(call));
      },
    };
  }
}
