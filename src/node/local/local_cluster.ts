/**
 * A PD and stores on this machine, each a child process. Not here: which ports and directories they
 * get (the caller says), and what happens when one dies (the caller is told).
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join, resolve } from "node:path";
import { assert } from "../../base/index.js";
import { type Loaded, PD_FIELDS, printGiven, TIKV_FIELDS } from "../../config/index.js";
import type { ReadyInfo } from "../ready_file.js";
import { type ChildExit, ChildServer } from "./child.js";

const LOOPBACK = "127.0.0.1";
/** A store drains requests for server.graceful-shutdown-timeout; then its process must end. */
const STOP_MARGIN_MS = 5000;
const PD_STOP_MS = 10_000;

/** The port of each listener; 0 = any free one. */
export interface LocalPorts {
  readonly pd: number;
  store(index: number): number;
  status(index: number): number;
}

export interface LocalClusterOptions {
  /** What `start` takes: keys that were given go to the roles that have them. */
  readonly config: Loaded<"start">;
  /** Stores to begin with. */
  readonly stores: number;
  /** Directory with one below it for each member; empty = in memory. */
  readonly dataDir: string;
  readonly ports: LocalPorts;
  readonly portRetry: boolean;
  /** Labels "zone=z1,host=h1": store i has the one at i modulo their number. May be empty. */
  readonly labels: readonly string[];
}

export interface LocalClusterHooks {
  /** Takes each line that a member writes to stderr. */
  onLine(name: string, line: string): void;
  /** Told of an end that nobody here asked for. */
  onDeath(child: ChildServer, exit: ChildExit): void;
  /** Returns what store `index`, or PD, tells others instead of its own address. */
  advertise?(member: number | "pd"): string;
}

/** One store: what it is told and what runs. */
export interface LocalStore {
  /** From 0; the name counts from 1. */
  readonly index: number;
  readonly name: string;
  readonly dataDir: string;
  readonly labels: string;
  readonly child: ChildServer;
  readonly ready: ReadyInfo;
}

/** Keys that one value cannot hold for every member; what a file says there is not used. */
export const CHOSEN_KEYS: ReadonlySet<string> = new Set([
  "name",
  "data-dir",
  "client-urls",
  "advertise-client-urls",
  "pd.endpoints",
  "storage.data-dir",
  "server.addr",
  "server.advertise-addr",
  "server.status-addr",
  "server.advertise-status-addr",
]);
/** Replicas of a region unless the configuration says otherwise, as in PD. */
const MAX_REPLICAS_DEFAULT = 3;

export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #hooks: LocalClusterHooks;
  readonly #runDir = mkdtempSync(join(tmpdir(), "rutile-up-"));
  readonly #stores: LocalStore[] = [];
  readonly #children = new Set<ChildServer>();
  #pd: { readonly child: ChildServer; readonly ready: ReadyInfo } | undefined;

  constructor(options: LocalClusterOptions, hooks: LocalClusterHooks) {
    this.#options = options;
    this.#hooks = hooks;
    const { config, stores } = options;
    const given = new Set([...config.given].filter((key) => !CHOSEN_KEYS.has(key)));
    const chosen = { values: config.values, given };
    const replicas = Math.min(MAX_REPLICAS_DEFAULT, stores);
    const isGiven = config.given.has("replication.max-replicas");
    const pd = printGiven(PD_FIELDS, chosen);
    const extra = isGiven ? "" : `replication.max-replicas = ${replicas}\n`;
    writeFileSync(this.#configFile("pd"), pd + extra);
    writeFileSync(this.#configFile("store"), printGiven(TIKV_FIELDS, chosen));
  }

  /** Stores in the order in which they were added; a dead one keeps its place. */
  get stores(): readonly LocalStore[] {
    return this.#stores;
  }

  /** Process ids of the members that run, those that are starting included, with their names. */
  pids(): ReadonlyMap<number, string> {
    return new Map([...this.#children].map(({ name, pid }) => [pid, name]));
  }

  /** host:port of PD. */
  get pdAddress(): string {
    const address = this.#pd?.ready.pd;
    assert(typeof address === "string", "PD was started");
    return address;
  }

  get pd(): ChildServer {
    assert(this.#pd !== undefined, "PD was started");
    return this.#pd.child;
  }

  /** Starts PD, then the stores, one after the other, so that their ids follow their names. */
  async start(): Promise<void> {
    await this.startPd();
    for (let i = 0; i < this.#options.stores; i++) await this.addStore();
  }

  /** Starts PD; again where it was before. Errs with RUTILE:Start:Child. */
  async startPd(): Promise<void> {
    const before = this.#pd?.ready.pd;
    const address = before ?? `${LOOPBACK}:${this.#options.ports.pd}`;
    const advertise = this.#hooks.advertise?.("pd");
    const child = this.#spawn("pd", [
      "pd",
      ...this.#shared("pd"),
      ...["--client-urls", `http://${address}`],
      ...(advertise === undefined ? [] : ["--advertise-client-urls", `http://${advertise}`]),
    ]);
    this.#pd = { child, ready: await child.ready() };
  }

  /** Starts one more store. Errs with RUTILE:Start:Child. */
  async addStore(labels?: string): Promise<LocalStore> {
    const { length } = this.#stores;
    const wanted = this.#options.labels[length % Math.max(1, this.#options.labels.length)] ?? "";
    return this.#startStore(length, labels ?? wanted);
  }

  /** Starts a store that has ended, with its data. Errs with RUTILE:Start:Child. */
  async restartStore(index: number): Promise<LocalStore> {
    const store = this.#stores[index];
    assert(store?.child.exit !== undefined, "only a store that has ended is started again");
    return this.#startStore(index, store.labels);
  }

  /**
   * Stops the stores, then PD, each with SIGTERM and, when it takes too long, SIGKILL. Returns whether
   * all that still ran ended with exit code 0.
   */
  async stop(): Promise<boolean> {
    const graceMs = this.#options.config.values["server.graceful-shutdown-timeout"];
    const others = [...this.#children].filter((child) => child !== this.#pd?.child);
    const ends = await Promise.all(others.map((child) => stopped(child, graceMs + STOP_MARGIN_MS)));
    if (this.#pd !== undefined) ends.push(await stopped(this.#pd.child, PD_STOP_MS));
    rmSync(this.#runDir, { recursive: true, force: true });
    return ends.every(({ code, signal }) => code === 0 && signal === null);
  }

  async #startStore(index: number, labels: string): Promise<LocalStore> {
    const name = `store-${index + 1}`;
    const { dataDir, ports } = this.#options;
    const advertise = this.#hooks.advertise?.(index);
    const child = this.#spawn(name, [
      "store",
      ...this.#shared(name),
      ...["--pd-endpoints", this.#hooks.advertise?.("pd") ?? this.pdAddress],
      ...["--addr", `${LOOPBACK}:${ports.store(index)}`],
      ...["--status-addr", `${LOOPBACK}:${ports.status(index)}`],
      ...(advertise === undefined ? [] : ["--advertise-addr", advertise]),
      ...(labels === "" ? [] : ["--labels", labels]),
    ]);
    const own = dataDir === "" ? "" : resolve(dataDir, name);
    const store = { index, name, dataDir: own, labels, child, ready: await child.ready() };
    this.#stores[index] = store;
    return store;
  }

  #spawn(name: string, args: readonly string[]): ChildServer {
    const child = new ChildServer({
      name,
      args,
      runDir: this.#runDir,
      onLine: (line) => this.#hooks.onLine(name, line),
    });
    this.#children.add(child);
    void child.exited.then((exit) => {
      this.#children.delete(child);
      if (!child.isExpected) this.#hooks.onDeath(child, exit);
    });
    return child;
  }

  #shared(name: string): string[] {
    const { config, dataDir, portRetry } = this.#options;
    const role = name === "pd" ? "pd" : "store";
    const args = ["--config", this.#configFile(role)];
    if (dataDir === "") args.push("--memory");
    else args.push("--data-dir", join(dataDir, name));
    if (portRetry) args.push("--port-retry");
    const logFile = config.values["log.file.filename"];
    if (logFile !== "") args.push("--log-file", memberFile(logFile, name));
    // Without files all members share the terminal.
    else if (!config.given.has("log.level")) args.push("--log-level", "warn");
    return args;
  }

  #configFile(role: "pd" | "store"): string {
    return join(this.#runDir, `${role}.toml`);
  }
}

async function stopped(child: ChildServer, graceMs: number): Promise<ChildExit> {
  return child.exit === undefined ? child.stop(graceMs) : { code: 0, signal: null };
}

/** "rutile.log" → "rutile.store-1.log": two processes must not write one file. */
function memberFile(path: string, name: string): string {
  const suffix = extname(path);
  return `${path.slice(0, path.length - suffix.length)}.${name}${suffix}`;
}
