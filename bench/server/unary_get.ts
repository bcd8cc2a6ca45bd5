/**
 * Point reads of one key by unary calls, as many in flight as RawGet's streams have commands:
 * our RawGet against etcd's serializable Range. h2load sends one fixed request.
 */
import { etcdserverpb, fromBigInt, kvrpcpb } from "../../src/pb/index.js";
import { type BenchContext, hashOf, type Report } from "../harness.js";
import { keyAt, valueAt } from "./data.js";
import {
  callOnce,
  countsOf,
  h2load,
  hasPeers,
  startEtcd,
  type UnaryCall,
  type Usage,
} from "./etcd.js";
import { figure, keysOf } from "./loads.js";
import { benchBinding, type StoreAddress, type StoreStats, withStore } from "./processes.js";

const NAME = "unary get 2048 in flight";
const SHAPE = { inFlight: 2048, connections: 16 };
const ROUNDS = 2;
const INDEX = 1;

async function rounds(
  context: BenchContext,
  series: string,
  call: UnaryCall,
  hash: string,
  stats: () => Promise<Usage>,
): Promise<Report> {
  const values: number[] = [];
  for (let round = 0; round < (context.mode === "smoke" ? 1 : ROUNDS); round++) {
    const before = await stats();
    const { perSecond, requests } = await h2load(context, { ...call, ...SHAPE });
    const counts = countsOf(perSecond, requests, before, await stats());
    console.log(`${NAME} ${series}: ${counts}, result ${hash}`);
    values.push(perSecond);
  }
  return figure(NAME, series, values, hash);
}

async function etcdRange(context: BenchContext): Promise<Report> {
  const etcd = await startEtcd();
  try {
    const key = keyAt(INDEX);
    const put = etcdserverpb.PutRequest.encode({ key, value: valueAt(INDEX) }).finish();
    await callOnce({ port: etcd.port, path: "/etcdserverpb.KV/Put", body: put });
    const body = etcdserverpb.RangeRequest.encode({ key, serializable: true }).finish();
    const call = { port: etcd.port, path: "/etcdserverpb.KV/Range", body };
    const { kvs } = etcdserverpb.RangeResponse.decode(await callOnce(call));
    const hash = hashOf(kvs?.[0]?.value ?? new Uint8Array(0));
    return await rounds(context, "etcd serializable Range", call, hash, etcd.stats);
  } finally {
    await etcd.stop();
  }
}

function rawGetCall(address: StoreAddress): UnaryCall {
  const u64 = (text: string) => fromBigInt(BigInt(text));
  const body = kvrpcpb.RawGetRequest.encode({
    context: {
      regionId: u64(address.regionId),
      regionEpoch: { confVer: u64(address.confVer), version: u64(address.version) },
      peer: { id: u64(address.peerId), storeId: u64(address.storeId) },
      clusterId: u64(address.clusterId),
    },
    key: keyAt(INDEX),
  }).finish();
  return { port: address.port, path: "/tikvpb.Tikv/RawGet", body };
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  if (!hasPeers(NAME)) return [];
  const peer = await etcdRange(context);
  const options = { binding: benchBinding(), keys: keysOf(context) };
  const ours = await withStore([options], async ({ child, address }) => {
    const call = rawGetCall(address);
    const { value } = kvrpcpb.RawGetResponse.decode(await callOnce(call));
    const hash = hashOf(value ?? new Uint8Array(0));
    return rounds(context, "unary RawGet", call, hash, () => child.ask<StoreStats>("stats"));
  });
  if (ours.hash !== peer.hash) throw new Error(`${NAME}: other values than etcd`);
  return [peer, ours];
}
