/** `rutile up --test-api`: a Cluster with its control server, until a signal. */
import { resolve } from "node:path";
import type { Loaded } from "../config/index.js";
import {
  announceUp,
  openUp,
  type RunOptions,
  type UpInfo,
  type UpOptions,
  type UpOutput,
} from "../node/index.js";
import { Cluster } from "./cluster.js";

/**
 * As runUp, but what members tell others are proxies that can fail on request, and the end of a member
 * is told and no more: whoever asked for it knows why. `port`: where the control server listens.
 */
export async function runTestUp(
  config: Loaded<"start">,
  options: UpOptions & { readonly port: number },
  run: RunOptions,
  output: UpOutput,
): Promise<void> {
  const { dataDir, port, ...rest } = options;
  const memory = dataDir === "";
  const env = openUp(config, run);
  const hooks = {
    onLog: output.onLine,
    onDeath: (member: string, why: string) => output.onNotice(`${member} ended with ${why}`),
  };
  const cluster = new Cluster({ ...rest, ...hooks, dataDir, memory }, config);
  env.shutdown.add("cluster", () => cluster.stop());
  await announceUp(env, output, async () => {
    await cluster.start();
    return infoOf(cluster, dataDir, await cluster.http(port));
  });
}

function infoOf(cluster: Cluster, dataDir: string, testApi: string): UpInfo {
  const dirOf = (...name: string[]): string => (dataDir === "" ? "" : resolve(dataDir, ...name));
  const [first] = cluster.stores;
  return {
    pd: cluster.pdEndpoints[0] as string,
    store: first?.address ?? null,
    status: first?.statusAddress ?? null,
    listen: null,
    data_dir: dirOf(),
    engine: first?.engine ?? null,
    test_api: testApi,
    stores: cluster.stores.map(({ address, index, pid, statusAddress }) => ({
      name: `store-${index + 1}`,
      pid: pid ?? process.pid,
      store: address,
      status: statusAddress,
      data_dir: dirOf(`store-${index + 1}`),
    })),
  };
}
