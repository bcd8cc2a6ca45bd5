/** What runs the members of a Cluster: processes (process_backend.ts) or this one (in_process.ts). */

/** Where a store that runs can be reached without a proxy. */
export interface RunningStore {
  /** Port of gRPC on loopback. */
  readonly port: number;
  /** host:port; null without a status server. */
  readonly statusAddress: string | null;
  /** The binding that opened. */
  readonly engine: string | null;
  /** null in process. */
  readonly pid: number | null;
}

export interface Backend {
  /** Starts PD, or starts it again where it was; resolves with its port on loopback. */
  startPd(): Promise<number>;
  /** Starts store `index`, or starts it again with its data. */
  startStore(index: number, labels: string): Promise<RunningStore>;
  /** Ends PD without notice. */
  killPd(): Promise<void>;
  /** Ends a store without notice. */
  kill(index: number): Promise<void>;
  /** Ends a store as an operator does. */
  stopStore(index: number): Promise<void>;
  /** Stops the clock of a store, or lets it go on. */
  setPaused(index: number, paused: boolean): void;
  /** Process ids of the members, by which connections are told apart. */
  pids(): ReadonlyMap<number, number | "pd">;
  /** Ends everything. */
  stop(): Promise<void>;
}

/** What a backend is told about the world around its members. */
export interface BackendHooks {
  /** What a member tells others instead of its own address. */
  advertise(member: number | "pd"): string;
  /** Where store `from` finds the store that tells `address`. */
  route(from: number, address: string): string;
  onLine(member: string, line: string): void;
  /** Told when a member ended by itself. */
  onDeath(member: string, why: string): void;
}
