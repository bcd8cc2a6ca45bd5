/**
 * KvGets of one turn of BatchCommands, answered together: requests are read and responses written
 * without objects for their fields, contexts are decoded once. A request that is not plain, or that
 * storage cannot answer at once, goes the way of one. Hot path. Source: kvrpcpb.GetRequest.
 */
import { keyFromRaw } from "../codec/index.js";
import { type PointItem, Statistics } from "../mvcc/index.js";
import {
  bytesSize,
  kvrpcpb,
  MalformedWire,
  varintSize,
  WireReader,
  WireWriter,
} from "../pb/index.js";
import type { ExecDetails, GetResult, TxnStorage } from "../storage/index.js";
import { isOtherCluster } from "./context.js";
import { newExecDetails, readDetailsToProto } from "./exec_details.js";
import type { RpcContext } from "./rpc.js";
import { txnContext } from "./txn_context.js";

/** Tags of GetRequest: context 1, key 2, version 3. */
const TAG_CONTEXT = 0x0a;
const TAG_KEY = 0x12;
const TAG_VERSION = 0x18;
/** Tags of GetResponse: value 3, not_found 4, exec_details_v2 6. */
const TAG_VALUE = 0x1a;
const TAG_NOT_FOUND = 0x20;
const TAG_DETAILS = 0x32;

interface Group {
  readonly context: Uint8Array;
  readonly items: PointItem[];
  /** Of each item, its place among the requests. */
  readonly places: number[];
}

/** Returns the encoded responses of `requests`; undefined where the request is to be served alone. */
export function serveKvGets(
  { storage, clock }: RpcContext,
  requests: readonly Uint8Array[],
): (Uint8Array | undefined)[] {
  const responses = new Array<Uint8Array | undefined>(requests.length).fill(undefined);
  const { txn } = storage;
  if (txn?.getMany === undefined) return responses;
  const startMs = clock.monotonicMs();
  for (const group of groupsOf(requests)) {
    const details = newExecDetails();
    const found = answersOf(txn, storage.clusterId, group, details);
    if (found === undefined) continue;
    const encoded = new Map<number, Uint8Array>();
    const totalMs = clock.monotonicMs() - startMs;
    for (let i = 0; i < found.length; i++) {
      const result = found[i];
      if (result === undefined) continue;
      const keyLength = (group.items[i] as PointItem).key.length;
      const size = result.value === undefined ? -1 : keyLength + result.value.length;
      let told = encoded.get(size);
      if (told === undefined) {
        told = detailsOf(details, size, totalMs);
        encoded.set(size, told);
      }
      responses[group.places[i] as number] = responseOf(result, told);
    }
  }
  return responses;
}

function answersOf(
  txn: TxnStorage,
  clusterId: bigint,
  { context, items }: Group,
  details: ExecDetails,
): readonly (GetResult | undefined)[] | undefined {
  let decoded: kvrpcpb.Context;
  try {
    decoded = kvrpcpb.Context.decode(context);
  } catch {
    return undefined;
  }
  if (isOtherCluster(decoded, clusterId)) return undefined;
  try {
    return txn.getMany?.(txnContext(decoded), items, details);
  } catch {
    // Damage: the request that met it meets it again alone, and says so to its client and the log.
    return undefined;
  }
}

/** Puts plain requests together that have the same context. */
function groupsOf(requests: readonly Uint8Array[]): Iterable<Group> {
  const groups = new Map<string, Group>();
  for (let place = 0; place < requests.length; place++) {
    const parsed = parse(requests[place] as Uint8Array);
    if (parsed === undefined) continue;
    const { context, key, ts } = parsed;
    const name = Buffer.from(context.buffer, context.byteOffset, context.length).toString("latin1");
    let group = groups.get(name);
    if (group === undefined) {
      group = { context, items: [], places: [] };
      groups.set(name, group);
    }
    group.items.push({ key: keyFromRaw(key), ts });
    group.places.push(place);
  }
  return groups.values();
}

/** Takes a request apart; undefined when it has other fields, or two of a kind, or is damaged. */
function parse(
  request: Uint8Array,
): { readonly context: Uint8Array; readonly key: Uint8Array; readonly ts: bigint } | undefined {
  const reader = new WireReader(request);
  let context: Uint8Array | undefined;
  let key: Uint8Array | undefined;
  let ts: bigint | undefined;
  try {
    while (reader.more) {
      const tag = reader.tag();
      if (tag === TAG_CONTEXT && context === undefined) context = reader.enter().view();
      else if (tag === TAG_KEY && key === undefined) key = reader.enter().view();
      else if (tag === TAG_VERSION && ts === undefined) {
        reader.varint();
        ts = (BigInt(reader.high) << 32n) | BigInt(reader.low);
      } else return undefined;
    }
  } catch (error) {
    if (error instanceof MalformedWire) return undefined;
    throw error;
  }
  if (context === undefined || key === undefined || ts === undefined) return undefined;
  return { context, key, ts };
}

/** The details of one get of `size` bytes of key and value, -1 = not found. */
function detailsOf(shared: ExecDetails, size: number, totalMs: number): Uint8Array {
  const statistics = new Statistics();
  statistics.write.seek = 1;
  if (size >= 0) {
    statistics.write.processedKeys = 1;
    statistics.processedSize = size;
  }
  const details = readDetailsToProto({ ...shared, statistics }, totalMs);
  return kvrpcpb.ExecDetailsV2.encode(details).finish();
}

function responseOf({ value }: GetResult, details: Uint8Array): Uint8Array {
  const told = 1 + varintSize(details.length) + details.length;
  const found = value === undefined ? 2 : bytesSize(value.length);
  const writer = new WireWriter(new Uint8Array(found + told));
  if (value === undefined) writer.field(TAG_NOT_FOUND, 1);
  else writer.bytesField(TAG_VALUE, value);
  writer.open(TAG_DETAILS, details.length);
  writer.copy(details, 0, details.length);
  return writer.finish();
}
