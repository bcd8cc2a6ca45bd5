/**
 * Requests to one store over one BatchCommands stream. Requests of one turn of the event loop become
 * one message (or several of batchSizeMax); answers come in any order and are matched by id. When the
 * stream ends, everything unanswered fails and the next request opens a new stream.
 */
import { type Client, type ClientDuplexStream, Metadata, status } from "@grpc/grpc-js";
import { err, ok, type Result } from "../base/index.js";
import { deserializer, methodInfo, serializer, type tikvpb, toSafeNumber } from "../pb/index.js";
import type { AnyResponse, CommandName } from "./commands.js";

const BATCH_COMMANDS = methodInfo("tikvpb.Tikv", "BatchCommands");

type BatchStream = ClientDuplexStream<tikvpb.IBatchCommandsRequest, tikvpb.BatchCommandsResponse>;

/** A request that got no answer. `sent` false: the store cannot have seen it. */
export interface SendFailure {
  readonly kind: "unreachable" | "timeout" | "aborted" | "tooMany" | "protocol";
  readonly message: string;
  readonly sent: boolean;
}

export type SendReply = Result<AnyResponse, SendFailure>;

interface Pending {
  readonly command: CommandName;
  readonly request: object;
  readonly deadlineMs: number;
  readonly settle: (reply: SendReply) => void;
}

export interface BatchConnOptions {
  readonly batchSizeMax: number;
  readonly pendingMax: number;
}

export class BatchConn {
  readonly #channel: Client;
  readonly #options: BatchConnOptions;
  /** Requests by id, in the order of their ids. */
  readonly #pending = new Map<number, Pending>();
  /** Ids that are not yet in a message. */
  #queue: number[] = [];
  #stream: BatchStream | undefined;
  #nextId = 1;
  #flushing = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = 0;

  constructor(channel: Client, options: BatchConnOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /** Sends a request whose `context` is set; never rejects. */
  send(
    command: CommandName,
    request: object,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<SendReply> {
    if (this.#pending.size >= this.#options.pendingMax) {
      const message = `${this.#pending.size} requests wait for this store`;
      return Promise.resolve(err({ kind: "tooMany", message, sent: false }));
    }
    return new Promise((resolve) => {
      const id = this.#nextId++;
      const abort = (): void => this.#fail(id, "aborted", "aborted");
      const settle = (reply: SendReply): void => {
        signal?.removeEventListener("abort", abort);
        resolve(reply);
      };
      const deadlineMs = performance.now() + timeoutMs;
      this.#pending.set(id, { command, request, deadlineMs, settle });
      this.#queue.push(id);
      this.#arm(deadlineMs);
      if (signal?.aborted === true) abort();
      else signal?.addEventListener("abort", abort, { once: true });
      this.#scheduleFlush();
    });
  }

  /** Fails everything that waits. */
  close(message: string): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
    this.#failAll(message);
  }

  #scheduleFlush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  /** Writes what waits; a stream that cannot take more is continued when it has drained. */
  #flush(): void {
    this.#flushing = false;
    while (this.#queue.length > 0) {
      const stream = this.#stream ?? this.#open();
      if (stream === undefined) return;
      if (stream.writableNeedDrain) {
        this.#flushing = true;
        stream.once("drain", () => this.#flush());
        return;
      }
      const message = this.#nextMessage();
      if (message !== undefined) stream.write(message);
    }
  }

  #nextMessage(): tikvpb.IBatchCommandsRequest | undefined {
    const requests: tikvpb.BatchCommandsRequest.IRequest[] = [];
    const requestIds: number[] = [];
    let taken = 0;
    while (taken < this.#queue.length && requestIds.length < this.#options.batchSizeMax) {
      const id = this.#queue[taken++] as number;
      const pending = this.#pending.get(id);
      if (pending === undefined) continue;
      requests.push({ [pending.command]: pending.request });
      requestIds.push(id);
    }
    this.#queue = taken === this.#queue.length ? [] : this.#queue.slice(taken);
    return requestIds.length === 0 ? undefined : { requests, requestIds };
  }

  #open(): BatchStream | undefined {
    let stream: BatchStream;
    try {
      stream = this.#channel.makeBidiStreamRequest(
        BATCH_COMMANDS.path,
        serializer(BATCH_COMMANDS.request),
        deserializer(BATCH_COMMANDS.response),
        new Metadata(),
      );
    } catch {
      this.#failAll("the connection is closed");
      return undefined;
    }
    this.#stream = stream;
    stream.on("data", (response: tikvpb.BatchCommandsResponse) => this.#onResponse(response));
    stream.on("error", () => {});
    stream.on("status", (end: { code: status; details: string }) => {
      if (stream !== this.#stream) return;
      this.#stream = undefined;
      this.#failAll(end.code === status.OK ? "the store ended the stream" : end.details);
    });
    return stream;
  }

  #onResponse(response: tikvpb.BatchCommandsResponse): void {
    for (const [i, wireId] of response.requestIds.entries()) {
      const id = toSafeNumber(wireId) ?? 0;
      const pending = this.#pending.get(id);
      if (pending === undefined) continue;
      const answer = response.responses[i];
      const command = pending.command as keyof tikvpb.BatchCommandsResponse.Response;
      const value = answer?.cmd === pending.command ? answer[command] : undefined;
      if (value === undefined || value === null) {
        this.#fail(id, "protocol", `answered ${pending.command} with ${answer?.cmd ?? "nothing"}`);
        continue;
      }
      this.#pending.delete(id);
      pending.settle(ok(value as unknown as AnyResponse));
    }
    if (this.#pending.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  #fail(id: number, kind: SendFailure["kind"], message: string): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    const unsentFrom = this.#queue[0] ?? Number.POSITIVE_INFINITY;
    pending.settle(err({ kind, message, sent: id < unsentFrom }));
  }

  #failAll(message: string): void {
    for (const id of [...this.#pending.keys()]) this.#fail(id, "unreachable", message);
    this.#queue = [];
  }

  /** One timer for the earliest deadline that is known; deadlines that are earlier re-arm it. */
  #arm(deadlineMs: number): void {
    if (this.#timer !== undefined && this.#timerAtMs <= deadlineMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = deadlineMs;
    const waitMs = Math.max(1, deadlineMs - performance.now());
    this.#timer = setTimeout(() => this.#onTimer(), waitMs);
  }

  #onTimer(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    let earliest = Number.POSITIVE_INFINITY;
    for (const [id, { deadlineMs }] of this.#pending) {
      if (deadlineMs <= nowMs) this.#fail(id, "timeout", "no answer in time");
      else if (deadlineMs < earliest) earliest = deadlineMs;
    }
    if (earliest !== Number.POSITIVE_INFINITY) this.#arm(earliest);
  }
}
