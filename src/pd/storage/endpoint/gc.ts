/** GC's safe points and barriers on disk, encoded as PD does: hexadecimal and decimal text, JSON. */
import { errorMessage, TikvError, utf8, utf8Decode } from "../../../base/index.js";
import { type GcBarrier, type GcState, TTL_NEVER } from "../../gc/index.js";
import type { Kv, KvChange } from "../kv.js";
import { keyPath } from "./key_path.js";

function damaged(what: string, text: string, cause?: unknown): TikvError {
  const message = `PD's data is damaged: ${what} is "${text}"`;
  return new TikvError("KV:Engine:Codec", message, { cause });
}

function loadNumber(kv: Kv, key: string, what: string, isHex: boolean): bigint {
  const bytes = kv.load(key);
  if (bytes === undefined) return 0n;
  const text = utf8Decode(bytes);
  if (isHex && /^[0-9a-f]{1,16}$/.test(text)) return BigInt(`0x${text}`);
  if (!isHex && /^[0-9]{1,20}$/.test(text)) return BigInt(text);
  throw damaged(what, text);
}

/** As PD writes a barrier: a service safe point, its numbers as text since they may pass 2^53. */
function barrierJson({ id, ts, expiresAt }: GcBarrier): string {
  const end = expiresAt ?? TTL_NEVER;
  return `{"service_id":${JSON.stringify(id)},"expired_at":${end},"safe_point":${ts}}`;
}

const BARRIER = /^\{"service_id":(.*),"expired_at":([0-9]{1,19}),"safe_point":([0-9]{1,20})\}$/s;

function parseBarrier(text: string): GcBarrier {
  const found = BARRIER.exec(text);
  if (found === null) throw damaged("a GC barrier", text);
  const [, name = "", end = "0", ts = "0"] = found;
  try {
    const id = JSON.parse(name) as string;
    const expiresAt = BigInt(end) >= TTL_NEVER ? undefined : BigInt(end);
    return { id, ts: BigInt(ts), expiresAt };
  } catch (cause) {
    throw damaged("a GC barrier", errorMessage(cause), cause);
  }
}

function loadBarriers(kv: Kv, prefix: string): GcBarrier[] {
  const found: GcBarrier[] = [];
  kv.loadPrefix(prefix, (_key, bytes) => found.push(parseBarrier(utf8Decode(bytes))));
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Returns what the directory holds. Err KV:Engine:Codec thrown for damaged records. */
export function loadGcState(kv: Kv, clusterId: bigint): GcState {
  const gcSafePoint = loadNumber(kv, keyPath.gcSafePoint(clusterId), "the GC safe point", true);
  const txn = loadNumber(kv, keyPath.gcTxnSafePoint(clusterId), "the txn safe point", false);
  return {
    gcSafePoint,
    // Data of a version that did not keep it.
    txnSafePoint: txn > gcSafePoint ? txn : gcSafePoint,
    barriers: loadBarriers(kv, keyPath.gcBarrierPrefix(clusterId)),
    globalBarriers: loadBarriers(kv, keyPath.gcGlobalBarrierPrefix(clusterId)),
  };
}

/** Returns what must be written to get from one state to the next. */
export function gcStateChanges(clusterId: bigint, from: GcState, to: GcState): KvChange[] {
  const changes: KvChange[] = [];
  if (from.gcSafePoint !== to.gcSafePoint) {
    const value = utf8(to.gcSafePoint.toString(16));
    changes.push({ key: keyPath.gcSafePoint(clusterId), value });
  }
  if (from.txnSafePoint !== to.txnSafePoint) {
    const value = utf8(to.txnSafePoint.toString());
    changes.push({ key: keyPath.gcTxnSafePoint(clusterId), value });
  }
  const own = keyPath.gcBarrierPrefix(clusterId);
  changes.push(...barrierChanges(own, from.barriers, to.barriers));
  const global = keyPath.gcGlobalBarrierPrefix(clusterId);
  changes.push(...barrierChanges(global, from.globalBarriers, to.globalBarriers));
  return changes;
}

function barrierChanges(
  prefix: string,
  from: readonly GcBarrier[],
  to: readonly GcBarrier[],
): KvChange[] {
  const kept = new Set(to.map(({ id }) => id));
  const known = new Set(from);
  const gone = from.filter(({ id }) => !kept.has(id));
  const put = to.filter((one) => !known.has(one));
  return [
    ...gone.map(({ id }) => ({ key: `${prefix}${id}`, value: undefined })),
    ...put.map((one) => ({ key: `${prefix}${one.id}`, value: utf8(barrierJson(one)) })),
  ];
}

/** Returns whether GC is led from outside, which keeps PD's own GC leader off. */
export function loadExternalGcLeader(kv: Kv, clusterId: bigint): boolean {
  return kv.load(keyPath.gcExternalLeader(clusterId)) !== undefined;
}

/** Returns the change that says who leads GC; `by` names the call that showed it. */
export function externalGcLeaderChange(clusterId: bigint, by: string | undefined): KvChange {
  const value = by === undefined ? undefined : utf8(by);
  return { key: keyPath.gcExternalLeader(clusterId), value };
}
