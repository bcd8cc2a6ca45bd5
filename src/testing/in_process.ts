/**
 * Members in this process, over loopback sockets like any others. They share the event loop, so a
 * "kill" is a stop without grace, and nothing can be paused.
 */
import { join } from "node:path";
import type { LogFields, Logger } from "../base/index.js";
import { type Loaded, type StartConfig, TIKV_FIELDS } from "../config/index.js";
import {
  type Environment,
  memberEnvironment,
  type RootLogger,
  startPdNode,
  startTikvNode,
  type TikvNodeOptions,
} from "../node/index.js";
import { PdClient, type PdClientConfig } from "../pd_client/index.js";
import type { Backend, BackendHooks, RunningStore } from "./backend.js";
import { ClusterError } from "./options.js";

const ANY = "127.0.0.1:0";
const STOP_MS = 10_000;

export class InProcessBackend implements Backend {
  readonly #config: StartConfig;
  readonly #dataDir: string;
  readonly #hooks: BackendHooks;
  readonly #stores = new Map<number, Environment>();
  #pd: Environment | undefined;
  #pdPort = 0;

  /** `dataDir`: "" = in memory. `stores`: how many there will be at first. */
  constructor(
    config: Loaded<"start">,
    place: { readonly dataDir: string; readonly stores: number },
    hooks: BackendHooks,
  ) {
    const key = "replication.max-replicas";
    const replicas = config.given.has(key) ? config.values[key] : Math.min(3, place.stores);
    this.#config = { ...config.values, [key]: replicas };
    this.#dataDir = place.dataDir;
    this.#hooks = hooks;
  }

  async startPd(): Promise<number> {
    const env = this.#environment("pd");
    this.#pd = env;
    const config = {
      ...this.#config,
      "client-urls": [`127.0.0.1:${this.#pdPort}`],
      "advertise-client-urls": [this.#hooks.advertise("pd")],
    };
    const pd = await orStop(env, startPdNode(config, this.#dirOf("pd"), "pd", env));
    this.#pdPort = Number(pd.address.split(":")[1]);
    return this.#pdPort;
  }

  async startStore(index: number, labels: string): Promise<RunningStore> {
    const name = `store-${index + 1}`;
    const env = this.#environment(name);
    this.#stores.set(index, env);
    const route = (address: string): string => this.#hooks.route(index, address);
    const parsed = TIKV_FIELDS["server.labels"].parse(labels);
    const options: TikvNodeOptions = {
      config: {
        ...this.#config,
        "server.addr": ANY,
        "server.status-addr": ANY,
        "server.advertise-addr": this.#hooks.advertise(index),
        "server.labels": labels !== "" && parsed.ok ? parsed.value : {},
      },
      dataDir: this.#dirOf(name),
      pdEndpoints: [this.#hooks.advertise("pd")],
      openPd: (config) => new RoutedPdClient(config, route),
    };
    const store = await orStop(env, startTikvNode(options, env));
    const port = Number(store.listenAddress.split(":")[1]);
    const { engine, statusAddress } = store;
    return { port, statusAddress, engine, pid: null };
  }

  async killPd(): Promise<void> {
    await this.#pd?.shutdown.run();
  }

  async kill(index: number): Promise<void> {
    await this.#stores.get(index)?.shutdown.run();
  }

  stopStore(index: number): Promise<void> {
    return this.kill(index);
  }

  setPaused(): void {
    throw new ClusterError('a store can be paused with mode "processes" only');
  }

  pids(): ReadonlyMap<number, number | "pd"> {
    return new Map();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#stores.values()].map((env) => env.shutdown.run()));
    await this.killPd();
  }

  #dirOf(name: string): string {
    return this.#dataDir === "" ? "" : join(this.#dataDir, name);
  }

  #environment(name: string): Environment {
    const logger = lineLogger((line) => this.#hooks.onLine(name, line));
    return memberEnvironment(logger, STOP_MS, (error) => this.#hooks.onDeath(name, String(error)));
  }
}

/** Returns what was started; a start that fails stops what it has begun. */
async function orStop<T>(env: Environment, starting: Promise<T>): Promise<T> {
  try {
    return await starting;
  } catch (error) {
    await env.shutdown.run();
    throw error;
  }
}

/** Sends a store to other stores by the ways that are its own, so that each can be cut. */
class RoutedPdClient extends PdClient {
  readonly #route: (address: string) => string;

  constructor(config: PdClientConfig, route: (address: string) => string) {
    super(config);
    this.#route = route;
  }

  override async getStoreAddress(id: bigint): ReturnType<PdClient["getStoreAddress"]> {
    const reply = await super.getStoreAddress(id);
    if (!reply.ok) return reply;
    return { ...reply, value: { ...reply.value, address: this.#route(reply.value.address) } };
  }
}

/** A logger of warnings and errors whose lines are plain text. */
function lineLogger(take: (line: string) => void): RootLogger {
  const at =
    (level: string) =>
    (message: string, fields?: LogFields, error?: unknown): void => {
      const shown = Object.entries(fields ?? {}).map(
        ([key, value]) => ` [${key}=${String(value)}]`,
      );
      take(`[${level}] ${message}${shown.join("")}${error === undefined ? "" : ` ${error}`}`);
    };
  const logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: at("WARN"),
    error: at("ERROR"),
    child: () => logger,
  };
  return { ...logger, setLevel: () => undefined, reopen: () => undefined };
}
