/** One connection to each store, opened at the first request. */
import { type Client, status } from "@grpc/grpc-js";
import { err } from "../base/index.js";
import { type CallFailure, callUnary, openChannel } from "../pd_client/index.js";
import { BatchConn, type SendFailure, type SendReply } from "./batch_conn.js";
import { type CommandName, isBatched, unaryMethod } from "./commands.js";

export interface RpcPoolOptions {
  readonly batchCommands: boolean;
  readonly batchSizeMax: number;
  readonly pendingMax: number;
}

interface Connection {
  readonly channel: Client;
  readonly batch: BatchConn;
  unary: number;
}

/** Statuses that say that the store has not executed the call. */
function sendFailure({ message, status: code }: CallFailure): SendFailure {
  if (code === status.DEADLINE_EXCEEDED) return { kind: "timeout", message, sent: true };
  if (code === status.CANCELLED) return { kind: "aborted", message, sent: true };
  const refused = /No connection established|ECONNREFUSED|shut down/.test(message);
  const text = `${status[code]}: ${message}`;
  if (code === status.UNAVAILABLE || code === status.INTERNAL) {
    return { kind: "unreachable", message: text, sent: !refused };
  }
  return { kind: "protocol", message: text, sent: code !== status.UNIMPLEMENTED };
}

export class RpcPool {
  readonly #options: RpcPoolOptions;
  readonly #connections = new Map<string, Connection>();
  #isClosed = false;

  constructor(options: RpcPoolOptions) {
    this.#options = options;
  }

  /** Sends a request whose context is set to the store at host:port; never rejects. */
  async send(
    address: string,
    command: CommandName,
    request: object,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<SendReply> {
    if (this.#isClosed) {
      return err({ kind: "unreachable", message: "the client is closed", sent: false });
    }
    const connection = this.#connection(address);
    if (this.#options.batchCommands && isBatched(command)) {
      return connection.batch.send(command, request, timeoutMs, signal);
    }
    if (connection.unary >= this.#options.pendingMax) {
      const message = `${connection.unary} calls wait for this store`;
      return err({ kind: "tooMany", message, sent: false });
    }
    connection.unary++;
    const method = unaryMethod(command);
    const reply = await callUnary(connection.channel, method, request, timeoutMs, signal);
    connection.unary--;
    return reply.ok ? reply : err(sendFailure(reply.error));
  }

  /** Closes all connections; what waits fails. */
  close(): void {
    this.#isClosed = true;
    for (const { batch, channel } of this.#connections.values()) {
      batch.close("the client was closed");
      channel.close();
    }
    this.#connections.clear();
  }

  #connection(address: string): Connection {
    let connection = this.#connections.get(address);
    if (connection === undefined) {
      const channel = openChannel(address);
      connection = { channel, batch: new BatchConn(channel, this.#options), unary: 0 };
      this.#connections.set(address, connection);
    }
    return connection;
  }
}
