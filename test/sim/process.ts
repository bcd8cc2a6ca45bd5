/**
 * A store process as the simulated cluster sees it: what it gets from its machine, and what checkers
 * and clients get from it. store.ts implements it with production code.
 */
import type { Logger, Prng, Timers } from "../../src/base/index.js";
import type { Runner } from "../../src/batch/index.js";
import type { RaftEvents, SnapshotManager, Transport } from "../../src/raftstore/index.js";
import type { MemorySnapDisk } from "../../src/raftstore/snapshot/files.js";
import type { CheckLeaderPort, LeaderInfo } from "../../src/storage/index.js";
import type { SimDisk, SimEngine } from "./disk.js";
import type { SimHost } from "./host.js";
import type { SimOptions } from "./options.js";
import type { SimPdPort } from "./pd_port.js";
import type { SimTrace } from "./trace.js";
import type { AppliedState, PeerView } from "./view.js";
import type { KvReply, KvRequest } from "./workload/kv.js";

/** What one incarnation of a store runs on. */
export interface StoreEnv {
  /** 1, 2, …: the machine, not the store id. */
  readonly number: number;
  readonly host: SimHost;
  readonly timers: Timers;
  readonly runner: Runner;
  readonly disk: SimDisk;
  readonly engine: SimEngine;
  readonly snapDisk: MemorySnapDisk;
  readonly pd: SimPdPort;
  readonly checkLeader: CheckLeaderPort;
  readonly transport: Transport;
  readonly prng: Prng;
  readonly options: SimOptions;
  readonly trace: SimTrace;
  readonly logger: Logger;
  /** Ends the run: production code threw where nobody expects it. */
  readonly fail: (error: unknown) => void;
  /** Ends the process: a crash of the machine's store. */
  readonly onFatal: (error: Error) => void;
}

/** A running store. */
export interface StoreProcess {
  /** 0 until it is known. */
  readonly storeId: number;
  /** Undefined while it starts. */
  readonly events: RaftEvents | undefined;
  readonly snapshots: SnapshotManager | undefined;
  serve(request: KvRequest, answer: (reply: KvReply) => void): void;
  /** Serves a method of tikvpb.Tikv, as the gRPC edge would; silent while it starts. */
  serveRpc(method: string, request: Uint8Array, answer: (response: Uint8Array) => void): void;
  /** Takes what the leaders of other stores say. */
  onLeaders(regions: readonly LeaderInfo[]): void;
  peers(): readonly PeerView[];
  appliedState(regionId: number): AppliedState | undefined;
  /** One line for each peer. */
  describe(): string[];
}
