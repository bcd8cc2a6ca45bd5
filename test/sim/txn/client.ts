/** Production's TxnClient on a simulated machine, as workloads use it. */
import { type Prng, utf8, utf8Decode } from "../../../src/base/index.js";
import { keyModeOf } from "../../../src/client/key_mode.js";
import { CommitUndeterminedError } from "../../../src/client/txn/errors.js";
import type { Transaction } from "../../../src/client/txn/transaction.js";
import { TxnClient } from "../../../src/client/txn/txn_client.js";
import type { SimCluster } from "../cluster.js";
import type { SimHost } from "../host.js";
import type { SimOptions } from "../options.js";
import { CLUSTER_ID } from "../pd.js";
import type { SimTxn, TxnAccess } from "./access.js";
import { simClientPd, simStoreRpc, simTime } from "./ports.js";

const LOCK_WAIT_MS = 2_000;
const TIMEOUT_MS = 15_000;
/** Some commits are given so little time that they end half way; others find their locks. */
const HASTY_MAX_MS = 60;
const HASTY_PERCENT = 5;

/** Texts over a production transaction. */
export class OneTxn implements SimTxn {
  private readonly txn: Transaction;
  private readonly prng: Prng;

  constructor(txn: Transaction, prng: Prng) {
    this.txn = txn;
    this.prng = prng;
  }

  get startTs(): bigint {
    return this.txn.startTs;
  }

  async get(key: string): Promise<string> {
    return textOf(await this.txn.get(utf8(key)));
  }

  async lock(keys: readonly string[]): Promise<string[]> {
    const values = await this.txn.lockKeys(keys.map(utf8), { returnValues: true });
    return values.map(textOf);
  }

  async put(key: string, value: string): Promise<void> {
    await this.txn.put(utf8(key), utf8(value));
  }

  async commit(): Promise<void> {
    const { prng } = this;
    const isHasty = prng.below(100) < HASTY_PERCENT;
    const timeoutMs = isHasty ? prng.range(1, HASTY_MAX_MS) : TIMEOUT_MS;
    await this.txn.commit({ timeoutMs });
  }

  async rollback(): Promise<void> {
    await this.txn.rollback().catch(() => undefined);
  }
}

function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? "" : utf8Decode(value);
}

/** Returns the transactions of one machine. */
export function newAccess(
  cluster: SimCluster,
  host: SimHost,
  prng: Prng,
  options: SimOptions,
): TxnAccess {
  const { network, pd } = cluster;
  const storeById = (id: number): ReturnType<SimCluster["rpcTarget"]> => cluster.rpcTarget(id);
  const deps = { host, network, pd, prng, storeById };
  const client = TxnClient.over(
    {
      pd: simClientPd(deps),
      rpc: simStoreRpc(deps),
      time: simTime(deps),
      mode: keyModeOf("V1", "txn", 0),
      clusterId: CLUSTER_ID,
    },
    {
      timeoutMs: TIMEOUT_MS,
      retryBudgetMs: TIMEOUT_MS,
      requestTimeoutMs: options.requestTimeoutUs / 1000,
      lockWaitMs: LOCK_WAIT_MS,
    },
  );
  return {
    begin: async ({ isPessimistic, useAsyncCommit, useOnePc }) => {
      const choice = { asyncCommit: useAsyncCommit, onePc: useOnePc };
      return new OneTxn(await client.begin({ pessimistic: isPessimistic, ...choice }), prng);
    },
    isUndetermined: (error) => error instanceof CommitUndeterminedError,
  };
}
