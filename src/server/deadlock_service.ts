/**
 * deadlock.Deadlock: other stores' edges come in on Detect streams while this store leads detection.
 * Not here: the graph (txn/lock_manager), the way to another leader (deadlock_client.ts).
 * Source: tikv src/server/lock_manager/deadlock.rs.
 */
import {
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { deadlock } from "../pb/index.js";
import type { TxnStorage } from "../storage/index.js";
import { foundToProto, requestOf, waitForEntryToProto } from "./deadlock_messages.js";
import { invalidArgument, SERVER_DRAINING } from "./grpc_status.js";

type DetectCall = ServerDuplexStream<deadlock.DeadlockRequest, deadlock.IDeadlockResponse>;

const NOT_LEADER = {
  code: status.FAILED_PRECONDITION,
  details: "I'm not the leader of deadlock detector",
};

/** Answers that a store has not read, above which its stream is ended: it will connect again. */
const UNREAD_MAX = 1024;

/** Returns everybody who waits for a lock of this store, with the milliseconds so far. */
export function lockWaitsToProto(storage: TxnStorage): deadlock.IWaitForEntry[] {
  return storage.lockWaits().map((wait) => ({
    ...waitForEntryToProto(wait),
    waitTime: Math.trunc(wait.waitMs),
  }));
}

export class DeadlockService {
  readonly #streams = new Set<DetectCall>();

  constructor(private readonly storage: TxnStorage) {}

  /** Returns grpc-js handlers by method name. */
  handlers(): UntypedServiceImplementation {
    const GetWaitForEntries = (
      _: ServerUnaryCall<deadlock.WaitForEntriesRequest, deadlock.IWaitForEntriesResponse>,
      respond: sendUnaryData<deadlock.IWaitForEntriesResponse>,
    ): void => respond(null, { entries: lockWaitsToProto(this.storage) });
    return { GetWaitForEntries, Detect: (call: DetectCall) => this.#detect(call) };
  }

  /** Ends all streams. */
  stop(): void {
    for (const call of this.#streams) call.emit("error", SERVER_DRAINING);
    this.#streams.clear();
  }

  #detect(call: DetectCall): void {
    this.#streams.add(call);
    const fail = (reason: object): void => {
      if (this.#streams.delete(call)) call.emit("error", reason);
    };
    call.on("data", (message: deadlock.DeadlockRequest) => {
      if (!this.#streams.has(call)) return;
      const request = requestOf(message);
      if (request === undefined) {
        fail(invalidArgument(`unknown deadlock request type ${message.tp}`));
        return;
      }
      const served = this.storage.detect(request);
      if (!served.ok) fail(NOT_LEADER);
      else if (served.value !== undefined) {
        if (call.writableLength >= UNREAD_MAX) fail(SERVER_DRAINING);
        else call.write(foundToProto(served.value));
      }
    });
    call.on("end", () => {
      if (this.#streams.delete(call)) call.end();
    });
    call.on("cancelled", () => this.#streams.delete(call));
  }
}
