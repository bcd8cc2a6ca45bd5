/**
 * RawPut over BatchCommands, answered after the sync, with 64 and 512 requests in flight, against
 * etcd's Put (h2load, one key, as many in flight) where etcd and h2load are installed.
 */
import { etcdserverpb } from "../../src/pb/index.js";
import type { BenchContext, Report } from "../harness.js";
import { keyAt, valueAt } from "./data.js";
import { countsOf, h2load, hasPeers, startEtcd } from "./etcd.js";
import { figure, keysOf, loadRounds } from "./loads.js";
import { benchBinding, withStore } from "./processes.js";

const IN_FLIGHT = [
  { inFlight: 64, connections: 4 },
  { inFlight: 512, connections: 8 },
] as const;

async function etcdPuts(context: BenchContext): Promise<Report[]> {
  const etcd = await startEtcd();
  try {
    const body = etcdserverpb.PutRequest.encode({ key: keyAt(1), value: valueAt(1) }).finish();
    const reports: Report[] = [];
    for (const { inFlight, connections } of IN_FLIGHT) {
      const name = `RawPut ${inFlight} in flight`;
      const call = { port: etcd.port, path: "/etcdserverpb.KV/Put", body };
      const before = await etcd.stats();
      const { perSecond, requests } = await h2load(context, { ...call, inFlight, connections });
      console.log(`${name} etcd Put: ${countsOf(perSecond, requests, before, await etcd.stats())}`);
      reports.push(figure(name, "etcd Put", [perSecond], "-"));
    }
    return reports;
  } finally {
    await etcd.stop();
  }
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const reports: Report[] = [];
  if (hasPeers("RawPut")) reports.push(...(await etcdPuts(context)));
  await withStore([{ binding: benchBinding(), keys: keysOf(context) }], async (store) => {
    for (const { inFlight, connections } of IN_FLIGHT) {
      for (const perMessage of [inFlight / connections, 1]) {
        const series = {
          name: `RawPut ${inFlight} in flight`,
          series: perMessage === 1 ? "1 a message" : "batched",
          kind: "put" as const,
          perMessage,
          window: inFlight / connections / perMessage,
          connections,
        };
        reports.push(await loadRounds(context, series, store));
      }
    }
  });
  return reports;
}
