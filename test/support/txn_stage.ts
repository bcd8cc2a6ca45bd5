/** A node in a process with one region, and transactional requests to it, field by field. */
import { Client, credentials } from "@grpc/grpc-js";
import * as assert from "uvu/assert";
import { utf8 } from "../../src/base/index.js";
import { fromBigInt, kvrpcpb } from "../../src/pb/index.js";
import { PdClient, type PdReply } from "../../src/pd_client/index.js";
import { type MetricsPage, scrape } from "./metrics_page.js";
import { type RutileProcess, startRutile } from "./rutile_process.js";
import { unary } from "./tikv_server.js";

/** A node, the way to its one region, and timestamps. */
export class TxnStage {
  private constructor(
    readonly node: RutileProcess,
    readonly pd: PdClient,
    readonly rpc: Client,
    readonly context: kvrpcpb.IContext,
  ) {}

  static async start(config: string): Promise<TxnStage> {
    const node = await startRutile({ config });
    const pd = new PdClient({ endpoints: [node.ready.pd] });
    const region = mustOk(await pd.getRegion(new Uint8Array(0)));
    assert.ok(region?.leader !== undefined);
    const { confVer, id, leader, version } = region;
    const context = {
      regionId: fromBigInt(id),
      regionEpoch: { confVer: fromBigInt(confVer), version: fromBigInt(version) },
      peer: { id: fromBigInt(leader.id), storeId: fromBigInt(leader.storeId) },
    };
    return new TxnStage(
      node,
      pd,
      new Client(node.ready.store, credentials.createInsecure()),
      context,
    );
  }

  async stop(): Promise<void> {
    this.rpc.close();
    this.pd.close();
    assert.is(await this.node.stop(), 0);
  }

  async ts(): Promise<bigint> {
    return mustOk(await this.pd.getTimestamps(1));
  }

  page(): Promise<MetricsPage> {
    return scrape(this.node.ready.status);
  }

  async prewrite(
    startTs: bigint,
    keys: readonly string[],
    fields: kvrpcpb.IPrewriteRequest = {},
  ): Promise<kvrpcpb.PrewriteResponse> {
    const answer = await unary(this.rpc, "KvPrewrite", {
      context: this.context,
      mutations: keys.map((key) => ({ op: kvrpcpb.Op.Put, key: utf8(key), value: utf8("v") })),
      primaryLock: utf8(keys[0] as string),
      startVersion: fromBigInt(startTs),
      lockTtl: 3000,
      ...fields,
    });
    assert.is(answer.regionError, null);
    return answer;
  }

  async commit(
    startTs: bigint,
    commitTs: bigint,
    keys: readonly string[],
  ): Promise<kvrpcpb.CommitResponse> {
    const answer = await unary(this.rpc, "KvCommit", {
      context: this.context,
      startVersion: fromBigInt(startTs),
      commitVersion: fromBigInt(commitTs),
      keys: keys.map(utf8),
    });
    assert.is(answer.regionError, null);
    return answer;
  }

  /** Writes keys in two phases. Returns the commit timestamp. */
  async write(...keys: string[]): Promise<bigint> {
    const startTs = await this.ts();
    assert.equal((await this.prewrite(startTs, keys)).errors, []);
    const commitTs = await this.ts();
    assert.is((await this.commit(startTs, commitTs, keys)).error, null);
    return commitTs;
  }

  lock(
    startTs: bigint,
    key: string,
    waitTimeout: number,
  ): Promise<kvrpcpb.PessimisticLockResponse> {
    return unary(this.rpc, "KvPessimisticLock", {
      context: this.context,
      mutations: [{ op: kvrpcpb.Op.PessimisticLock, key: utf8(key) }],
      primaryLock: utf8(key),
      startVersion: fromBigInt(startTs),
      forUpdateTs: fromBigInt(startTs),
      lockTtl: 10_000,
      waitTimeout,
    });
  }

  async unlock(startTs: bigint, key: string): Promise<void> {
    await unary(this.rpc, "KVPessimisticRollback", {
      context: this.context,
      startVersion: fromBigInt(startTs),
      forUpdateTs: fromBigInt(startTs),
      keys: [utf8(key)],
    });
  }
}

/** Returns what PD answered. */
export function mustOk<T>(reply: PdReply<T>): T {
  if (reply.ok) return reply.value;
  throw new Error(reply.error.message);
}
