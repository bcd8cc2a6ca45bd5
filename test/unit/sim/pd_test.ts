/** PD on its simulated machine: stores register, regions report, orders come, a crash loses nothing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NULL_LOGGER, Prng } from "../../../src/base/index.js";
import {
  initialRegion,
  type RegionInfo,
  type RegionOrder,
  type RegionReport,
  type StoreInfo,
  type StoreStats,
} from "../../../src/raftstore/index.js";
import { SimHost } from "../../sim/host.js";
import { SimLoop } from "../../sim/loop.js";
import { SimNetwork } from "../../sim/network.js";
import { optionsOf } from "../../sim/options.js";
import { SimPd } from "../../sim/pd.js";
import { SimPdPort } from "../../sim/pd_port.js";
import { SimTrace } from "../../sim/trace.js";

const NOTHING = (): void => undefined;
const STORES = [1n, 2n, 3n];

function storeInfo(id: bigint): StoreInfo {
  return {
    id,
    address: `s${id}:1`,
    statusAddress: "",
    version: "8.5.0",
    gitHash: "",
    startTimestamp: 1,
    deployPath: "",
    labels: [],
  };
}

function stats(storeId: bigint): StoreStats {
  return {
    storeId,
    capacity: 1e12,
    available: 9e11,
    usedSize: 1e6,
    regionCount: 1,
    startTime: 1,
    isBusy: false,
    bytesWritten: 0,
    keysWritten: 0,
    bytesRead: 0,
    keysRead: 0,
    interval: { start: 0, end: 1 },
  };
}

function report(region: RegionInfo): RegionReport {
  const peer = region.peers[0] as RegionInfo["peers"][number];
  const none = { bytesWritten: 0, keysWritten: 0, bytesRead: 0, keysRead: 0 };
  const size = { approximateSize: 1000, approximateKeys: 10, interval: { start: 0, end: 1 } };
  return { region, leaderPeerId: peer.id, term: 6n, ...none, ...size };
}

test("a region gets an order for a second replica; PD remembers it after a crash", async () => {
  const loop = new SimLoop();
  const trace = new SimTrace();
  const network = new SimNetwork(loop, new Prng(1n), optionsOf(1n).network, trace);
  network.heal();
  const machine = (name: string): SimHost => new SimHost(name, loop, new Prng(2n));
  const orders: RegionOrder[] = [];
  const ports: SimPdPort[] = [];
  const pd = new SimPd({
    host: machine("pd"),
    prng: new Prng(3n),
    trace,
    logger: NULL_LOGGER,
    replicas: 3,
    sendOrder: (order) => ports[Number(order.targetPeer.storeId) - 1]?.push(order),
  });
  pd.start();
  for (const id of STORES) {
    const host = machine(`s${id}`);
    host.start();
    const port = new SimPdPort(network, pd, host);
    port.onOrder((order) => orders.push(order));
    ports.push(port);
  }
  const [first] = ports as [SimPdPort];
  const run = (): Promise<void> => loop.run(loop.nowUs + 1_000_000, NOTHING);
  const region = initialRegion(1n, 10n, 11n);
  const results: boolean[] = [];
  first.bootstrap(storeInfo(1n), region).then((reply) => results.push(reply.ok), NOTHING);
  await run();
  for (const id of STORES) {
    const port = ports[Number(id) - 1] as SimPdPort;
    port.putStore(storeInfo(id)).then((reply) => results.push(reply.ok), NOTHING);
    port.storeHeartbeat(stats(id)).then((reply) => results.push(reply.ok), NOTHING);
    await run();
  }
  assert.equal(results, Array(7).fill(true));
  for (let i = 0; i < 3; i++) {
    first.regionHeartbeat(report(region)).then(NOTHING, NOTHING);
    await run();
  }
  assert.is(orders[0]?.regionId, 10n);
  assert.is(orders[0]?.changePeers?.[0]?.type, 2, "a learner first");
  pd.crash();
  assert.is(pd.regions.length, 0);
  pd.start();
  assert.is(pd.regions[0]?.meta.id, 10n);
  assert.is(pd.storeIds.length, 3);
  let id: bigint | undefined;
  first.allocId().then((reply) => {
    if (reply.ok) id = reply.value;
  }, NOTHING);
  await run();
  assert.ok(id !== undefined && id > 0n);
});

test.run();
