/**
 * Bounds that grpc-js does not have, enforced around each call: requests that do not arrive
 * (slowloris), header lists that are too large, responses that are not read (slow_readers.ts), and
 * connections whose streams are reset again and again (rapid reset, CVE-2023-44487; nghttp2 counts
 * them, too, and this one is configurable).
 * One timer for all waiting requests. Not here: bounds of batch streams (batch_commands.ts).
 */
import type { Socket } from "node:net";
import {
  type Metadata,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js";
import type { Clock, Logger } from "../base/index.js";
import { BATCH_COMMANDS_PATH } from "./batch_commands.js";
import { type CallListener, forwardCall } from "./forward_call.js";
import { resourceExhausted } from "./grpc_status.js";
import type { ServerOptions } from "./options.js";
import { COUNTED_MIN_BYTES, SlowReaders, type Unread } from "./slow_readers.js";

const TOO_SLOW = { code: status.DEADLINE_EXCEEDED, details: "the request did not arrive in time" };
/** Bytes that HTTP/2 counts for each header beside name and value. */
const HEADER_OVERHEAD_BYTES = 32;

/** What is counted of one connection. */
interface Budget extends Unread {
  /** Resets that it may still make. */
  tokens: number;
  refilledMs: number;
}

function endpoint(address: string | undefined, port: number | undefined): string {
  return `${address ?? ""}|${port ?? 0}`;
}

/** Size of a header list as HTTP/2 counts it. */
function headerBytes(metadata: Metadata): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(metadata.toHttp2Headers())) {
    const values = Array.isArray(value) ? value : [value];
    for (const one of values) {
      bytes += name.length + String(one ?? "").length + HEADER_OVERHEAD_BYTES;
    }
  }
  return bytes;
}

export class RequestGuard {
  readonly #options: ServerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Calls without a request, with their deadline; insertion order is deadline order. */
  readonly #waiting = new Map<ServerInterceptingCallInterface, number>();
  /** Open connections by remote endpoint. */
  readonly #budgets = new Map<string, Budget>();
  readonly #slow: SlowReaders;
  #timer: NodeJS.Timeout | undefined;
  /** Calls that want an answer and have none. */
  #unanswered = 0;
  #onIdle: () => void = () => {};

  constructor(options: ServerOptions, clock: Clock, logger: Logger) {
    this.#slow = new SlowReaders(options, clock, logger);
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Knows a connection until it closes. */
  addConnection(socket: Socket): void {
    const name = endpoint(socket.remoteAddress, socket.remotePort);
    const refilledMs = this.#clock.monotonicMs();
    const budget = { socket, bytes: 0, tokens: this.#options.resetBurst, refilledMs };
    this.#budgets.set(name, budget);
    socket.once("close", () => {
      this.#budgets.delete(name);
      this.#slow.forget(budget);
    });
  }

  readonly interceptor: ServerInterceptor = (method, call) => {
    const isUnary = !method.requestStream && !method.responseStream;
    return this.#guard(call, isUnary, isUnary || method.path === BATCH_COMMANDS_PATH) as never;
  };

  /** Resolves when no request waits for its answer: unary calls and BatchCommands streams. */
  idle(): Promise<void> {
    if (this.#unanswered === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Watches nothing any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting.clear();
    this.#slow.stop();
  }

  #guard(
    call: ServerInterceptingCallInterface,
    isUnary: boolean,
    isRequest: boolean,
  ): ServerInterceptingCallInterface {
    let ended = false;
    let unreadBytes = 0;
    const request = this.#request(isRequest);
    // Kept, because a stream that is closed does not tell its connection any more.
    let connection: Budget | undefined;
    const end = (sent: { code: status; details: string }): void => {
      ended = true;
      request.end();
      call.sendStatus(sent);
    };
    const guarded = forwardCall(call, (listener) => {
      if (isUnary) this.#wait(call);
      request.begin();
      call.start({
        onReceiveMetadata: (metadata) => this.#onMetadata(call, metadata, listener, end),
        onReceiveMessage: (message) => listener.onReceiveMessage(message),
        onReceiveHalfClose: () => {
          this.#waiting.delete(call);
          listener.onReceiveHalfClose();
        },
        onCancel: () => {
          this.#waiting.delete(call);
          if (!ended) this.#onReset(call);
          request.end();
          release(unreadBytes);
          listener.onCancel();
        },
      });
    });
    const release = (bytes: number): void => {
      // A stream that closes is told once for all, and its messages may still be told after it.
      const left = Math.min(bytes, unreadBytes);
      if (left === 0 || connection === undefined) return;
      unreadBytes -= left;
      this.#slow.remove(connection, left);
    };
    guarded.sendMessage = (message, callback) => {
      const bytes = message instanceof Uint8Array ? message.length : 0;
      if (bytes >= COUNTED_MIN_BYTES) connection ??= this.#budgetOf(call);
      if (bytes < COUNTED_MIN_BYTES || connection === undefined) {
        call.sendMessage(message, callback);
        return;
      }
      unreadBytes += bytes;
      this.#slow.add(connection, bytes);
      call.sendMessage(message, () => {
        release(bytes);
        callback();
      });
    };
    guarded.sendStatus = (sent) => {
      ended = true;
      request.end();
      call.sendStatus(sent);
    };
    return guarded;
  }

  /** Counts one call, if it is a request, from its begin to its first end. */
  #request(isRequest: boolean): { begin(): void; end(): void } {
    let isOpen = false;
    return {
      begin: () => {
        isOpen = isRequest;
        if (isRequest) this.#unanswered++;
      },
      end: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#unanswered--;
        if (this.#unanswered === 0) this.#onIdle();
      },
    };
  }

  #budgetOf(call: ServerInterceptingCallInterface): Budget | undefined {
    const { remoteAddress, remotePort } = call.getConnectionInfo();
    return this.#budgets.get(endpoint(remoteAddress, remotePort));
  }

  #onMetadata(
    call: ServerInterceptingCallInterface,
    metadata: Metadata,
    listener: CallListener,
    end: (sent: { code: status; details: string }) => void,
  ): void {
    const { headerListMaxBytes } = this.#options;
    if (headerBytes(metadata) > headerListMaxBytes) {
      end(resourceExhausted(`the header list exceeds ${headerListMaxBytes} bytes`));
      return;
    }
    const budget = this.#slow.isIdle ? undefined : this.#budgetOf(call);
    if (budget !== undefined && this.#slow.isOver(budget)) {
      end(resourceExhausted(`${budget.bytes} bytes of responses are not read`));
    } else listener.onReceiveMetadata(metadata);
  }

  /** Takes one reset from the connection's budget; closes a connection that has none left. */
  #onReset(call: ServerInterceptingCallInterface): void {
    const budget = this.#budgetOf(call);
    if (budget === undefined) return;
    const { resetBurst, resetRatePerSecond } = this.#options;
    const now = this.#clock.monotonicMs();
    const refill = ((now - budget.refilledMs) / 1000) * resetRatePerSecond;
    budget.tokens = Math.min(resetBurst, budget.tokens + refill) - 1;
    budget.refilledMs = now;
    if (budget.tokens >= 0 || budget.socket.destroyed) return;
    this.#logger.warn("connection closed: too many streams were reset", {
      peer: call.getPeer(),
    });
    budget.socket.destroy();
  }

  #wait(call: ServerInterceptingCallInterface): void {
    const { requestTimeoutMs } = this.#options;
    this.#waiting.set(call, this.#clock.monotonicMs() + requestTimeoutMs);
    if (this.#timer === undefined) this.#arm(requestTimeoutMs);
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
