/** Production's TxnClient on a simulated machine, as workloads use it. */
import { type Prng, utf8, utf8Decode } from "../../../src/base/index.js";
import type { ClientPorts } from "../../../src/client/connect.js";
import { keyModeOf } from "../../../src/client/key_mode.js";
import { CommitUndeterminedError } from "../../../src/client/txn/errors.js";
import type { Transaction } from "../../../src/client/txn/transaction.js";
import { TxnClient } from "../../../src/client/txn/txn_client.js";
import { composeTs, keyFromRaw } from "../../../src/codec/index.js";
import { fromBigInt, type kvrpcpb } from "../../../src/pb/index.js";
import { transferLeaderOperator } from "../../../src/pd/schedule/index.js";
import type { SimCluster } from "../cluster.js";
import type { SimHost } from "../host.js";
import type { SimOptions } from "../options.js";
import { CLUSTER_ID } from "../pd.js";
import type { Frailty, SimTxn, TxnAccess, TxnChoice } from "./access.js";
import { frailRpc } from "./frail.js";
import { simClientPd, simStoreRpc, simTime } from "./ports.js";

const LOCK_WAIT_MS = 2_000;
const TIMEOUT_MS = 15_000;
/** What is waited for a client that will not answer. */
const DEAD_MS = 1_000;
/** Some commits are given so little time that they end half way; others find their locks. */
const HASTY_MAX_MS = 60;
const HASTY_PERCENT = 5;
const STALE_MAX_MS = 4_000;

/** Texts over a production transaction. */
export class OneTxn implements SimTxn {
  private readonly txn: Transaction;
  private readonly prng: Prng;
  private readonly timeoutMs: number | undefined;

  /** `timeoutMs`: of the commit; by chance if it is not given. */
  constructor(txn: Transaction, prng: Prng, timeoutMs?: number) {
    this.txn = txn;
    this.prng = prng;
    this.timeoutMs = timeoutMs;
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
    await this.txn.commit({ timeoutMs: this.timeoutMs ?? this.someTimeoutMs() });
  }

  private someTimeoutMs(): number {
    const { prng } = this;
    const isHasty = prng.below(100) < HASTY_PERCENT;
    return isHasty ? prng.range(1, HASTY_MAX_MS) : TIMEOUT_MS;
  }

  async rollback(): Promise<void> {
    await this.txn.rollback().catch(() => undefined);
  }
}

function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? "" : utf8Decode(value);
}

/** Returns the cluster as a client on a machine sees it. */
export function clientPorts(cluster: SimCluster, host: SimHost, prng: Prng): ClientPorts {
  const { network, pd } = cluster;
  const storeById = (id: number): ReturnType<SimCluster["rpcTarget"]> => cluster.rpcTarget(id);
  const deps = { host, network, pd, prng, storeById };
  return {
    pd: simClientPd(deps),
    rpc: simStoreRpc(deps),
    time: simTime(deps),
    mode: keyModeOf("V1", "txn", 0),
    clusterId: CLUSTER_ID,
  };
}

/** Reads each key at one timestamp, 1 to 4 s old, from a replica that is chosen anew. */
async function staleRead(
  keys: readonly string[],
  { pd, rpc, mode }: ClientPorts,
  prng: Prng,
  timeoutMs: number,
): Promise<{ ts: bigint; texts: string[] } | undefined> {
  const now = await pd.getTimestamps(1);
  if (!now.ok) return undefined;
  const age = composeTs(BigInt(prng.range(1_000, STALE_MAX_MS)), 0n);
  if (now.value <= age) return undefined;
  const ts = now.value - age;
  const texts: string[] = [];
  for (const key of keys) {
    const region = await pd.getRegion(keyFromRaw(utf8(key)));
    if (!region.ok || region.value === undefined) return undefined;
    const { id, confVer, version, peers } = region.value;
    const { id: peerId, storeId } = prng.pick(peers);
    const context = {
      regionId: fromBigInt(id),
      regionEpoch: { confVer: fromBigInt(confVer), version: fromBigInt(version) },
      peer: { id: fromBigInt(peerId), storeId: fromBigInt(storeId) },
      apiVersion: mode.apiVersion,
      staleRead: true,
    };
    const request = { context, key: utf8(key), version: fromBigInt(ts) };
    const reply = await rpc.send(`${storeId}`, "Get", request, timeoutMs);
    if (!reply.ok || reply.value.regionError !== null) return undefined;
    const { error, notFound, value } = reply.value as unknown as kvrpcpb.GetResponse;
    if (error !== null) return undefined;
    texts.push(notFound ? "" : utf8Decode(value));
  }
  return { ts, texts };
}

/** Asks PD to let the store lead a key's region that leads least: few reads have raised its max_ts. */
function moveLeader({ pd }: SimCluster, key: string): void {
  const region = pd.find(keyFromRaw(utf8(key)));
  if (region === undefined) return;
  const leads = (store: bigint): number =>
    pd.regions.filter(({ leader }) => leader?.storeId === store).length;
  const others = region.meta.peers
    .map(({ storeId }) => storeId)
    .filter((store) => store !== region.leader?.storeId)
    .sort((a, b) => leads(a) - leads(b));
  const [to] = others;
  if (to === undefined) return;
  const making = { desc: "workload", kind: "admin", isUrgent: true, details: {} } as const;
  pd.operate((context) => transferLeaderOperator(context, region, to, making));
}

/** Returns the transactions of one machine. */
export function newAccess(
  cluster: SimCluster,
  host: SimHost,
  prng: Prng,
  options: SimOptions,
): TxnAccess {
  const ports = clientPorts(cluster, host, prng);
  const config = {
    timeoutMs: TIMEOUT_MS,
    retryBudgetMs: TIMEOUT_MS,
    requestTimeoutMs: options.requestTimeoutUs / 1000,
    lockWaitMs: LOCK_WAIT_MS,
  };
  const client = TxnClient.over(ports, config);
  const begin = (by: TxnClient, choice: TxnChoice): Promise<Transaction> => {
    const { isPessimistic: pessimistic, useAsyncCommit: asyncCommit, useOnePc: onePc } = choice;
    return by.begin({ pessimistic, asyncCommit, onePc });
  };
  const access: TxnAccess = {
    staleRead: (keys) => staleRead(keys, ports, prng, options.requestTimeoutUs / 1000),
    begin: async (choice) => new OneTxn(await begin(client, choice), prng),
    isUndetermined: (error) => error instanceof CommitUndeterminedError,
  };
  if (!options.hasFrail) return access;
  return {
    ...access,
    beginFrail: async (choice, frailty: Frailty) => {
      const rpc = frailRpc(ports.rpc, frailty, host, prng);
      const txn = await begin(TxnClient.over({ ...ports, rpc }, config), choice);
      return new OneTxn(txn, prng, frailty.kind === "dies" ? DEAD_MS : TIMEOUT_MS);
    },
    moveLeader: (key) => moveLeader(cluster, key),
  };
}
