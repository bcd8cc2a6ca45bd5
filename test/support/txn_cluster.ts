/**
 * A real cluster in this process for tests of TxnClient, and clients whose requests a test watches,
 * loses or answers itself.
 */
import { err, utf8 } from "../../src/base/index.js";
import type { SendReply } from "../../src/client/batch_conn.js";
import type { CommandName, RequestOf, ResponseOf } from "../../src/client/commands.js";
import { connectParts } from "../../src/client/connect.js";
import { TxnClient, type TxnClientOptions } from "../../src/client/index.js";
import type { StoreRpc } from "../../src/client/ports.js";
import { TXN_CLIENT_DEFAULTS } from "../../src/client/txn/options.js";
import { encodeBytes } from "../../src/codec/index.js";
import { Cluster, type ClusterOptions } from "../../src/testing/index.js";

/** What a test does with requests of one client. */
export class Wire {
  /** Commands that were sent. */
  readonly log: CommandName[] = [];
  readonly requests: { readonly command: CommandName; readonly request: object }[] = [];
  /** Commands that never arrive, and get no answer. */
  readonly lost = new Set<CommandName>();
  /** Commands that are executed, and whose answers never arrive. */
  readonly unanswered = new Set<CommandName>();
  /** Timestamps that PD was asked for. */
  timestamps = 0;
  /** Called before a command is sent. */
  before: (command: CommandName, request: object) => Promise<void> | void = () => {};
  /** Called with each answer; may change it. */
  after: (command: CommandName, response: object) => void = () => {};

  sent(command: CommandName): number {
    return this.log.filter((one) => one === command).length;
  }

  /** Returns the requests of a command. */
  of<C extends CommandName>(command: C): RequestOf<C>[] {
    return this.requests
      .filter((one) => one.command === command)
      .map(({ request }) => request as RequestOf<C>);
  }

  /** Changes answers to a command. */
  answer<C extends CommandName>(command: C, change: (response: ResponseOf<C>) => void): void {
    this.after = (got, response) => {
      if (got === command) change(response as ResponseOf<C>);
    };
  }

  /** Returns `rpc` under this test's control. */
  over(rpc: StoreRpc): StoreRpc {
    const lose = (): SendReply => err({ kind: "unreachable", message: "lost", sent: true });
    return {
      send: async (address, command, request, timeoutMs, signal) => {
        this.log.push(command);
        this.requests.push({ command, request });
        await this.before(command, request);
        if (this.lost.has(command)) return lose();
        const reply = await rpc.send(address, command, request, timeoutMs, signal);
        if (this.unanswered.has(command)) return lose();
        if (reply.ok) this.after(command, reply.value);
        return reply;
      },
      close: () => rpc.close(),
    };
  }
}

/** Connects a client whose requests go through `wire`. */
export async function wiredClient(
  cluster: Cluster,
  wire: Wire,
  config: Partial<TxnClientOptions> = {},
): Promise<TxnClient> {
  const options = { ...TXN_CLIENT_DEFAULTS, pdEndpoints: cluster.pdEndpoints, ...config };
  const parts = await connectParts(options, "txn");
  const { pd } = parts;
  const getTimestamps = pd.getTimestamps.bind(pd);
  pd.getTimestamps = (count) => {
    wire.timestamps++;
    return getTimestamps(count);
  };
  return TxnClient.over({ ...parts, rpc: wire.over(parts.rpc) }, options);
}

export interface TxnCluster {
  readonly cluster: Cluster;
  /** Makes a client that is closed after the test. */
  readonly connect: (config?: Partial<TxnClientOptions>, wire?: Wire) => Promise<TxnClient>;
}

/** Starts a cluster in memory for one test file; `stop` ends it. */
export async function startTxnCluster(
  options: ClusterOptions = {},
): Promise<{ readonly cluster: Cluster; readonly stop: () => Promise<void> }> {
  const cluster = new Cluster({ stores: 1, mode: "inProcess", memory: true, ...options });
  await cluster.start();
  await cluster.ready();
  return { cluster, stop: () => cluster.stop() };
}

/** Runs `body` with a way to make clients, which are closed behind it. */
export async function withClients(
  cluster: Cluster,
  body: (parts: TxnCluster) => Promise<void>,
): Promise<void> {
  const clients: TxnClient[] = [];
  const connect: TxnCluster["connect"] = async (config = {}, wire = new Wire()) => {
    const client = await wiredClient(cluster, wire, { timeoutMs: 20_000, ...config });
    clients.push(client);
    return client;
  };
  try {
    await body({ cluster, connect });
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

/** Splits at a transactional key, whose boundaries are encoded. */
export async function splitAt(cluster: Cluster, key: string): Promise<void> {
  await cluster.splitAt(encodeBytes(utf8(key)));
}

/** Returns a value as text. */
export function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}

/** Returns "key=value" of all pairs. */
export async function pairs(
  items: AsyncIterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>,
): Promise<string[]> {
  const out: string[] = [];
  for await (const { key, value } of items) out.push(`${text(key)}=${text(value)}`);
  return out;
}

/** Returns the error that a promise rejects with; fails if it does not. */
export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error & { code?: string };
  }
  throw new Error("it was expected to fail");
}
