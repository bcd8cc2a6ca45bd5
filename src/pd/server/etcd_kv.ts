/**
 * What the etcd v3 KV service does with keys: ranges with their filters and order, puts, deletes and
 * conditional transactions, on protobuf messages, synchronously in memory. Bounds and error texts
 * are etcd's. Not here: waiting for the disk (etcd_kv_service.ts).
 * Source: etcd server/etcdserver/apply.go, api/v3rpc/key.go.
 */
import { status } from "@grpc/grpc-js";
import { compareBytes, toHex } from "../../base/index.js";
import { etcdserverpb, fromBigInt, isZero, type mvccpb, toBigInt } from "../../pb/index.js";
import type { EtcdEntry, EtcdStore } from "../storage/index.js";
import { statusError } from "./header.js";

/** --max-request-bytes */
const REQUEST_MAX_BYTES = 1.5 * 1024 * 1024;
/** --max-txn-ops */
const TXN_OPS_MAX = 128;

const { SortOrder, SortTarget } = etcdserverpb.RangeRequest;
const { CompareResult, CompareTarget } = etcdserverpb.Compare;

const invalid = (text: string) => statusError(status.INVALID_ARGUMENT, `etcdserver: ${text}`);

function pairOf(entry: EtcdEntry, keysOnly = false): mvccpb.IKeyValue {
  return {
    key: entry.key,
    value: keysOnly ? new Uint8Array(0) : entry.value,
    createRevision: fromBigInt(entry.createRevision),
    modRevision: fromBigInt(entry.modRevision),
    version: fromBigInt(entry.version),
  };
}

/** Throws etcd's refusal of a request without a key. */
function checkKey(key: Uint8Array): void {
  if (key.length === 0) throw invalid("key is not provided");
}

export class EtcdKv {
  constructor(private readonly store: EtcdStore) {}

  /** Throws etcd's refusal for revisions that are not the current one: there is no history. */
  range(request: etcdserverpb.RangeRequest): etcdserverpb.IRangeResponse {
    checkKey(request.key);
    const revision = toBigInt(request.revision);
    if (revision > this.store.revision) {
      const text = "etcdserver: mvcc: required revision is a future revision";
      throw statusError(status.OUT_OF_RANGE, text);
    }
    if (revision > 0n && revision < this.store.revision) {
      const text = "etcdserver: mvcc: required revision has been compacted";
      throw statusError(status.OUT_OF_RANGE, text);
    }
    const found = this.store.range(request.key, request.rangeEnd);
    const count = found.length;
    if (request.countOnly) return { count };
    const kept = sorted(found.filter(revisionFilter(request)), request);
    const limit = Number(toBigInt(request.limit));
    const shown = limit > 0 ? kept.slice(0, limit) : kept;
    const kvs = shown.map((entry) => pairOf(entry, request.keysOnly));
    return { kvs, count, more: shown.length < kept.length };
  }

  /** Throws etcd's refusals; see `checkPut`. */
  put(request: etcdserverpb.PutRequest): etcdserverpb.IPutResponse {
    this.checkPut(request);
    const { key } = request;
    const known = this.store.range(key, new Uint8Array(0))[0];
    if (request.ignoreValue && known === undefined) throw invalid("key not found");
    const value = request.ignoreValue && known !== undefined ? known.value : request.value;
    const old = this.store.put(new Uint8Array(key), new Uint8Array(value));
    return request.prevKv && old !== undefined ? { prevKv: pairOf(old) } : {};
  }

  deleteRange(request: etcdserverpb.DeleteRangeRequest): etcdserverpb.IDeleteRangeResponse {
    checkKey(request.key);
    const gone = this.store.deleteRange(request.key, request.rangeEnd);
    const prevKvs = request.prevKv ? gone.map((entry) => pairOf(entry)) : [];
    return { deleted: gone.length, prevKvs };
  }

  /** Runs the branch that the comparisons choose, as one change. */
  txn(request: etcdserverpb.TxnRequest): etcdserverpb.ITxnResponse {
    this.checkTxn(request);
    return this.runTxn(request);
  }

  private checkPut(request: etcdserverpb.PutRequest): void {
    const { key, value } = request;
    checkKey(key);
    if (request.ignoreValue && value.length > 0) throw invalid("value is provided");
    if (request.ignoreLease && !isZero(request.lease)) throw invalid("lease is provided");
    if (!isZero(request.lease)) {
      throw statusError(status.NOT_FOUND, "etcdserver: requested lease not found");
    }
    if (key.length + value.length > REQUEST_MAX_BYTES) throw invalid("request is too large");
    if (!this.store.hasRoom(1, key.length + value.length)) {
      const text = "etcdserver: mvcc: database space exceeded";
      throw statusError(status.RESOURCE_EXHAUSTED, text);
    }
  }

  /** Refuses what would fail half way, before anything is changed. */
  private checkTxn(request: etcdserverpb.TxnRequest): void {
    const { compare, failure, success } = request;
    if (Math.max(compare.length, success.length, failure.length) > TXN_OPS_MAX) {
      throw invalid("too many operations in txn request");
    }
    for (const { key } of compare) checkKey(key);
    for (const branch of [success, failure]) {
      const puts = new Set<string>();
      let bytes = 0;
      for (const { requestPut, requestRange, requestDeleteRange, requestTxn } of branch) {
        if (requestTxn !== null) {
          throw statusError(status.UNIMPLEMENTED, "nested transactions are not supported");
        }
        if (requestRange !== null) this.checkRangeInTxn(requestRange);
        if (requestDeleteRange !== null) checkKey(requestDeleteRange.key);
        if (requestPut === null) continue;
        this.checkPut(requestPut);
        if (requestPut.ignoreValue) throw invalid("ignore_value is not supported in a txn");
        const name = toHex(requestPut.key);
        if (puts.has(name)) throw invalid("duplicate key given in txn request");
        puts.add(name);
        bytes += requestPut.key.length + requestPut.value.length;
      }
      if (!this.store.hasRoom(puts.size, bytes)) {
        const text = "etcdserver: mvcc: database space exceeded";
        throw statusError(status.RESOURCE_EXHAUSTED, text);
      }
    }
  }

  private checkRangeInTxn(request: etcdserverpb.RangeRequest): void {
    checkKey(request.key);
    if (isZero(request.revision)) return;
    const text = "etcdserver: mvcc: required revision has been compacted";
    throw statusError(status.OUT_OF_RANGE, text);
  }

  private runTxn(request: etcdserverpb.TxnRequest): etcdserverpb.ITxnResponse {
    const succeeded = request.compare.every((one) => this.holds(one));
    const responses = (succeeded ? request.success : request.failure).map(
      ({ requestDeleteRange, requestPut, requestRange }): etcdserverpb.IResponseOp => {
        if (requestPut !== null) return { responsePut: this.put(requestPut) };
        if (requestDeleteRange !== null) {
          return { responseDeleteRange: this.deleteRange(requestDeleteRange) };
        }
        return requestRange === null ? {} : { responseRange: this.range(requestRange) };
      },
    );
    return { succeeded, responses };
  }

  /** A comparison of a range holds when it holds for each key; of a missing key, for zeros. */
  private holds(compare: etcdserverpb.Compare): boolean {
    const found = this.store.range(compare.key, compare.rangeEnd);
    if (found.length > 0) return found.every((entry) => compared(compare, entry));
    if (compare.rangeEnd.length > 0) return true;
    return compare.target !== CompareTarget.VALUE && compared(compare, undefined);
  }
}

function compared(compare: etcdserverpb.Compare, entry: EtcdEntry | undefined): boolean {
  const order = orderOf(compare, entry);
  if (compare.result === CompareResult.EQUAL) return order === 0;
  if (compare.result === CompareResult.NOT_EQUAL) return order !== 0;
  return compare.result === CompareResult.GREATER ? order > 0 : order < 0;
}

function orderOf(compare: etcdserverpb.Compare, entry: EtcdEntry | undefined): number {
  const { target } = compare;
  if (target === CompareTarget.VALUE) {
    return compareBytes(entry?.value ?? new Uint8Array(0), compare.value ?? new Uint8Array(0));
  }
  const [is, given] =
    target === CompareTarget.VERSION
      ? [entry?.version, compare.version]
      : target === CompareTarget.CREATE
        ? [entry?.createRevision, compare.createRevision]
        : target === CompareTarget.MOD
          ? [entry?.modRevision, compare.modRevision]
          : [0n, compare.lease];
  return Number((is ?? 0n) - toBigInt(given ?? 0));
}

function revisionFilter(request: etcdserverpb.RangeRequest): (entry: EtcdEntry) => boolean {
  const minMod = toBigInt(request.minModRevision);
  const maxMod = toBigInt(request.maxModRevision);
  const minCreate = toBigInt(request.minCreateRevision);
  const maxCreate = toBigInt(request.maxCreateRevision);
  return ({ modRevision, createRevision }) =>
    modRevision >= minMod &&
    createRevision >= minCreate &&
    (maxMod === 0n || modRevision <= maxMod) &&
    (maxCreate === 0n || createRevision <= maxCreate);
}

/** Entries come in key order, which is the order when none is asked for. */
function sorted(entries: EtcdEntry[], request: etcdserverpb.RangeRequest): EtcdEntry[] {
  const { sortOrder, sortTarget } = request;
  if (sortOrder === SortOrder.NONE && sortTarget === SortTarget.KEY) return entries;
  const by = (a: EtcdEntry, b: EtcdEntry): number => {
    if (sortTarget === SortTarget.VERSION) return Number(a.version - b.version);
    if (sortTarget === SortTarget.CREATE) return Number(a.createRevision - b.createRevision);
    if (sortTarget === SortTarget.MOD) return Number(a.modRevision - b.modRevision);
    if (sortTarget === SortTarget.VALUE) return compareBytes(a.value, b.value);
    return compareBytes(a.key, b.key);
  };
  const sign = sortOrder === SortOrder.DESCEND ? -1 : 1;
  return entries.sort((a, b) => sign * by(a, b));
}
