/** A scripted PD, scripted stores and a RawClient on them, closed after the test. */
import { RawClient, type RawClientConfig } from "../../src/client/index.js";
import { FakeCluster } from "./fake_cluster.js";
import { ScriptedPd } from "./scripted_pd.js";
import { ScriptedStore } from "./scripted_store.js";

export interface ClientCluster {
  readonly cluster: FakeCluster;
  readonly pd: ScriptedPd;
  readonly stores: readonly ScriptedStore[];
  readonly client: RawClient;
}

/** Runs `body` on a cluster of `storesCount` stores with one region, led by the first. */
export async function withCluster(
  body: (parts: ClientCluster) => Promise<void>,
  config: Partial<RawClientConfig> & { readonly storesCount?: number } = {},
): Promise<void> {
  const { storesCount = 1, ...options } = config;
  const cluster = new FakeCluster();
  const stores: ScriptedStore[] = [];
  for (let id = 1; id <= storesCount; id++) stores.push(await ScriptedStore.start(id, cluster));
  cluster.bootstrap();
  const pd = await ScriptedPd.start(cluster);
  let client: RawClient | undefined;
  try {
    client = await RawClient.connect({ pdEndpoints: [pd.address], ...options });
    await body({ cluster, pd, stores, client });
  } finally {
    client?.close();
    for (const store of stores) store.stop();
    pd.stop();
  }
}

/** Returns what a promise rejects with, as "code: message"; "resolved" if it does not. */
export async function rejection(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `${code}: ${message}`;
  }
}
