/** Members as child processes of this one. */
import type { Loaded } from "../config/index.js";
import { type ChildServer, exitText, LocalCluster, type LocalStore } from "../node/index.js";
import type { Backend, BackendHooks, RunningStore } from "./backend.js";

const ANY_PORTS = { pd: 0, store: () => 0, status: () => 0 };
const STOP_MS = 30_000;

function portOf(address: string | null): number {
  return Number(address?.slice(address.lastIndexOf(":") + 1));
}

/** "store-1" → 0. */
function indexOf(name: string): number {
  return Number(name.slice(name.lastIndexOf("-") + 1)) - 1;
}

export class ProcessBackend implements Backend {
  readonly #cluster: LocalCluster;

  /** `dataDir`: "" = in memory. `stores`: how many there will be at first. */
  constructor(
    config: Loaded<"start">,
    place: { readonly dataDir: string; readonly stores: number },
    hooks: BackendHooks,
  ) {
    this.#cluster = new LocalCluster(
      { ...place, config, ports: ANY_PORTS, portRetry: false, labels: [] },
      {
        onLine: hooks.onLine,
        onDeath: (child, exit) => hooks.onDeath(child.name, exitText(exit)),
        advertise: hooks.advertise,
      },
    );
  }

  async startPd(): Promise<number> {
    await this.#cluster.startPd();
    return portOf(this.#cluster.pdAddress);
  }

  async startStore(index: number, labels: string): Promise<RunningStore> {
    const isNew = this.#cluster.stores[index] === undefined;
    const store = isNew
      ? await this.#cluster.addStore(labels)
      : await this.#cluster.restartStore(index);
    return {
      port: portOf(store.ready.listen),
      statusAddress: store.ready.status,
      engine: store.ready.engine,
      pid: store.child.pid,
    };
  }

  async killPd(): Promise<void> {
    await this.#cluster.pd.kill();
  }

  async kill(index: number): Promise<void> {
    await this.#child(index).kill();
  }

  async stopStore(index: number): Promise<void> {
    await this.#child(index).stop(STOP_MS);
  }

  setPaused(index: number, paused: boolean): void {
    this.#child(index).signal(paused ? "SIGSTOP" : "SIGCONT");
  }

  pids(): ReadonlyMap<number, number | "pd"> {
    const named = [...this.#cluster.pids()];
    return new Map(named.map(([pid, name]) => [pid, name === "pd" ? name : indexOf(name)]));
  }

  async stop(): Promise<void> {
    await this.#cluster.stop();
  }

  #child(index: number): ChildServer {
    return (this.#cluster.stores[index] as LocalStore).child;
  }
}
