/** What a Cluster can be told, and how that becomes configuration. */
import { type FlagValue, type Loaded, loadConfig, START_FIELDS } from "../config/index.js";

export interface ClusterOptions {
  /** Stores to begin with; default 3. */
  readonly stores?: number;
  /**
   * "processes": each member is a process, as `rutile up` starts them. "inProcess": all in this one,
   * quicker to start, but nothing can be killed hard or paused. Default "processes".
   */
  readonly mode?: "processes" | "inProcess";
  /** Keys of the configuration file, such as { "raftstore.raft-base-tick-interval": "100ms" }. */
  readonly config?: Readonly<Record<string, ConfigValue>>;
  /** Labels "zone=z1,host=h1"; store i has the one at i modulo their number. */
  readonly labels?: readonly string[];
  /** Directory of all data; default: a new one that stop() removes. */
  readonly dataDir?: string;
  /** Keeps everything in memory: a store that ends has lost all and cannot come back. */
  readonly memory?: boolean;
  /** Ports that members tell others; default: any free ones. */
  readonly ports?: { readonly pd: number; store(index: number): number } | undefined;
  /** Decides which requests and messages fractions meet; default 1. */
  readonly seed?: bigint;
  /** Takes each line that a member logs; default: nobody. */
  readonly onLog?: (member: string, line: string) => void;
  /** Told when a member ended that nobody asked to; Cluster.deaths keeps them. */
  readonly onDeath?: (member: string, why: string) => void;
}

export type ConfigValue = string | number | boolean | readonly string[];

/** A mistake in what a caller asks of a Cluster, or a state that it did not reach in time. */
export class ClusterError extends Error {}

/** Returns the configuration of `options`. Throws ClusterError with every problem. */
export function clusterConfig(options: ClusterOptions): Loaded<"start"> {
  const given = Object.entries(options.config ?? {});
  const unknown = given.filter(([key]) => !(key in START_FIELDS)).map(([key]) => key);
  if (unknown.length > 0) throw new ClusterError(`unknown keys: ${unknown.join(", ")}`);
  const flags: FlagValue[] = given.map(([key, value]) => ({
    flag: "config",
    key,
    value: toml(value),
  }));
  for (const value of options.labels ?? []) {
    flags.push({ flag: "labels", key: "server.labels", value });
  }
  const loaded = loadConfig("start", undefined, flags);
  if (loaded.ok) return loaded.config;
  throw new ClusterError(loaded.problems.map(({ text }) => text).join("; "));
}

function toml(value: ConfigValue): FlagValue["value"] {
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;
}
