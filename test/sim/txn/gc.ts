/**
 * GC while transactions run: production's leader and lock resolution every now and then, and
 * production's worker in every store. Snapshots that clients hold are barriers, as SQL nodes report
 * theirs; all checks of the workload then say that nothing visible went.
 */
import { err, NULL_LOGGER, ok, type Prng } from "../../../src/base/index.js";
import { txnAdminOver } from "../../../src/client/internal.js";
import { keyModeOf } from "../../../src/client/key_mode.js";
import { GcLeader } from "../../../src/node/gc_leader.js";
import type { PdGc } from "../../../src/pd/index.js";
import type { SimCluster } from "../cluster.js";
import type { SimHost } from "../host.js";
import { exponential, type SimOptions } from "../options.js";
import { CLUSTER_ID } from "../pd.js";
import type { SimTxn, TxnAccess, TxnChoice } from "./access.js";
import { simClientPd, simStoreRpc, simTime } from "./ports.js";

/** Above what a timestamp may take from PD to the client that then reports it. */
const LIFE_TIME_MS = 3_000;
const INTERVAL_MEAN_US = 2_000_000;
const TIMEOUT_MS = 10_000;

/** Snapshots that are open; nothing they see may go. */
export class OpenSnapshots {
  private readonly open = new Map<SimTxn, bigint>();

  get all(): readonly bigint[] {
    return [...this.open.values()];
  }

  /** Returns `access` with its transactions reported from begin to end. */
  of(access: TxnAccess): TxnAccess {
    const { beginFrail, moveLeader } = access;
    return {
      isUndetermined: (error) => access.isUndetermined(error),
      begin: async (choice: TxnChoice) => this.reported(await access.begin(choice)),
      ...(beginFrail === undefined
        ? {}
        : { beginFrail: async (...how) => this.reported(await beginFrail(...how)) }),
      ...(moveLeader === undefined ? {} : { moveLeader }),
    };
  }

  private reported(txn: SimTxn): SimTxn {
    const end = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } finally {
        this.open.delete(reported);
      }
    };
    const reported: SimTxn = {
      startTs: txn.startTs,
      get: (key) => txn.get(key),
      lock: (keys) => txn.lock(keys),
      put: (key, value) => txn.put(key, value),
      commit: () => end(() => txn.commit()),
      rollback: () => end(() => txn.rollback()),
    };
    // Below its start, where the record of its rollback is: what it sends may come late.
    this.open.set(reported, txn.startTs - 1n);
    return reported;
  }
}

export class SimGc {
  /** Rounds that moved the safe point. */
  published = 0;
  private isStopping = false;
  private readonly leader: GcLeader;
  /** A client's machine: it does not crash, which would end the rounds for good. */
  private readonly host: SimHost;

  constructor(
    private readonly cluster: SimCluster,
    private readonly prng: Prng,
    options: SimOptions,
    snapshots: OpenSnapshots,
  ) {
    const { network, pd } = cluster;
    const [host] = cluster.clientHosts as [SimHost];
    this.host = host;
    const storeById = (id: number): ReturnType<SimCluster["rpcTarget"]> => cluster.rpcTarget(id);
    const deps = { host, network, pd, prng, storeById };
    const ports = {
      pd: simClientPd(deps),
      rpc: simStoreRpc(deps),
      time: simTime(deps),
      mode: keyModeOf("V1", "txn", 0),
      clusterId: CLUSTER_ID,
    };
    const config = {
      timeoutMs: TIMEOUT_MS,
      retryBudgetMs: TIMEOUT_MS,
      requestTimeoutMs: options.requestTimeoutUs / 1000,
    };
    this.leader = new GcLeader(
      { runIntervalMs: 0, lifeTimeMs: LIFE_TIME_MS },
      {
        pd: this.pdGc(snapshots),
        resolveLocks: (safePoint) => txnAdminOver(ports, config).resolve(safePoint),
        logger: NULL_LOGGER,
      },
    );
  }

  start(): void {
    if (this.isStopping) return;
    this.host.afterUs(exponential(this.prng, INTERVAL_MEAN_US), () => {
      if (this.isStopping) return;
      void this.leader.round().then(({ kind }) => {
        if (kind === "published") this.published++;
        this.start();
      });
    });
  }

  stop(): void {
    this.isStopping = true;
  }

  private pdGc(snapshots: OpenSnapshots): PdGc {
    const { pd } = this.cluster;
    return {
      isLedOutside: false,
      isBootstrapped: true,
      now: async () => (pd.isUp ? pd.timestamps(1) : undefined),
      state: async () => ({ gcSafePoint: pd.gcSafePoint, barriers: snapshots.all }),
      publish: async (target) => {
        if (!pd.isUp) return err("PD is down");
        // What was begun meanwhile is younger than the life time.
        pd.gcSafePoint = target > pd.gcSafePoint ? target : pd.gcSafePoint;
        return ok(pd.gcSafePoint);
      },
    };
  }
}
