/**
 * Ends unary calls whose request does not arrive in time (slowloris): grpc-js itself waits for ever.
 * One timer for all calls, at the first deadline. Streams are not touched.
 */
import type { ServerInterceptingCallInterface, ServerInterceptor } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import type { Clock } from "../base/index.js";
import { forwardCall } from "./forward_call.js";

const TOO_SLOW = { code: status.DEADLINE_EXCEEDED, details: "the request did not arrive in time" };

export class RequestDeadline {
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  /** Calls without a request, with their deadline; insertion order is deadline order. */
  readonly #waiting = new Map<ServerInterceptingCallInterface, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number, clock: Clock) {
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  readonly interceptor: ServerInterceptor = (method, call) =>
    isUnary(method) ? (this.#watch(call) as never) : (call as never);

  /** Watches nothing any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  #watch(call: ServerInterceptingCallInterface): ServerInterceptingCallInterface {
    return forwardCall(call, (listener) => {
      this.#waiting.set(call, this.#clock.monotonicMs() + this.#timeoutMs);
      if (this.#timer === undefined) this.#arm(this.#timeoutMs);
      call.start({
        onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
        onReceiveMessage: (message) => listener.onReceiveMessage(message),
        onReceiveHalfClose: () => {
          this.#waiting.delete(call);
          listener.onReceiveHalfClose();
        },
        onCancel: () => {
          this.#waiting.delete(call);
          listener.onCancel();
        },
      });
    });
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(() => this.#endLate(), delayMs);
    this.#timer.unref();
  }

  #endLate(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonicMs();
    for (const [call, deadline] of this.#waiting) {
      if (deadline > now) {
        this.#arm(Math.max(1, deadline - now));
        return;
      }
      this.#waiting.delete(call);
      call.sendStatus(TOO_SLOW);
    }
  }
}

function isUnary(method: Parameters<ServerInterceptor>[0]): boolean {
  return !method.requestStream && !method.responseStream;
}
