/**
 * Transactional requests and answers as the loader sends and reads them: reads at a timestamp, and
 * Puts by one phase, whose start_ts is written into the encoded frame just before it is sent.
 */
import { fromBigInt, kvrpcpb as kv, type kvrpcpb, type tikvpb } from "../../src/pb/index.js";
import { SCAN_LIMIT, VERSION_TS } from "./data.js";
import type { LoadJob } from "./job.js";

type Request = tikvpb.BatchCommandsRequest.IRequest;
type Response = tikvpb.BatchCommandsResponse.IResponse;

const TS_MAX = fromBigInt((1n << 64n) - 1n);
const READ_TS = fromBigInt(VERSION_TS.read);
/** Low bits of a timestamp that are patched: four bytes of a varint. */
const PATCH_BITS = 28n;
const PATCH_BYTES = 4;
/** Stands in the low bits until a frame is sent; no value of the data holds it by chance. */
const PLACEHOLDER = 0x0a5_c3e1;
const LOCK_TTL_MS = 3000n;
/** commit_ts is start_ts + 1, and the next transaction begins above it. */
const TS_STEP = 4;

/** Whether a load speaks to transactional storage. */
export function isTxn({ kind }: LoadJob): boolean {
  return kind !== "get" && kind !== "put" && kind !== "scan";
}

/** Returns a command of the job's kind for keys and their values. */
export function txnRequest(
  { kind, tsBase }: LoadJob,
  context: object,
  keys: readonly Buffer[],
  value: Buffer,
): Request {
  const [key = Buffer.alloc(0)] = keys;
  switch (kind) {
    case "txnGet":
      return { Get: { context, key, version: READ_TS } };
    case "txnBatchGet":
      return { BatchGet: { context, keys: [...keys], version: READ_TS } };
    case "txnScan":
      return { Scan: { context, startKey: key, limit: SCAN_LIMIT, version: READ_TS } };
    case "onePc":
      return {
        Prewrite: {
          context,
          mutations: [{ op: kv.Op.Put, key, value }],
          primaryLock: key,
          startVersion: fromBigInt(BigInt(tsBase) | BigInt(PLACEHOLDER)),
          lockTtl: fromBigInt(LOCK_TTL_MS),
          txnSize: fromBigInt(1n),
          tryOnePc: true,
        },
      };
    default:
      throw new Error(`${kind} is no transactional load`);
  }
}

/** Returns a command that reads a key behind all transactions. */
export function newestRequest(context: object, key: Buffer): Request {
  return { Get: { context, key, version: TS_MAX } };
}

/** Returns the values of a read's answer in the order of its keys. */
export function valuesOf(response: Response | undefined): readonly Uint8Array[] {
  const { RawGet, Get, BatchGet } = response ?? {};
  if (BatchGet) return (BatchGet.pairs ?? []).map(({ value }) => value ?? new Uint8Array(0));
  return [(RawGet ?? Get)?.value ?? new Uint8Array(0)];
}

/** Returns the rows of a scan's answer. */
export function rowsOf(response: Response | undefined): readonly kvrpcpb.IKvPair[] {
  return response?.RawScan?.kvs ?? response?.Scan?.pairs ?? [];
}

/** Whether a transaction was not committed by one phase; other commands: whether there is no value. */
export function isRefused({ Prewrite, Get, BatchGet, Scan }: Response): boolean {
  if (Prewrite) return String(Prewrite.onePcCommitTs ?? 0) === "0";
  if (Get) return (Get.value?.length ?? 0) === 0;
  return (BatchGet ?? Scan)?.pairs?.some(({ error }) => error) ?? false;
}

/** Gives each transaction of a frame a start_ts of its own, in place. */
export class Timestamps {
  readonly #offsets = new Map<Buffer, readonly number[]>();
  readonly #pattern: Buffer;
  #next = 1;

  constructor({ tsBase }: LoadJob) {
    const ts = BigInt(tsBase) | BigInt(PLACEHOLDER);
    const probe = kv.PrewriteRequest.encode({ startVersion: fromBigInt(ts) }).finish();
    this.#pattern = Buffer.from(probe.subarray(1));
  }

  stamp(frame: Buffer): void {
    for (const at of this.#offsetsOf(frame)) {
      const low = this.#next;
      this.#next += TS_STEP;
      if (low >= Number(1n << PATCH_BITS)) throw new Error("a load has used up its timestamps");
      for (let i = 0; i < PATCH_BYTES; i++) frame[at + i] = 0x80 | ((low >>> (7 * i)) & 0x7f);
    }
  }

  #offsetsOf(frame: Buffer): readonly number[] {
    const known = this.#offsets.get(frame);
    if (known !== undefined) return known;
    const found: number[] = [];
    for (let at = frame.indexOf(this.#pattern); at >= 0; ) {
      found.push(at);
      at = frame.indexOf(this.#pattern, at + 1);
    }
    this.#offsets.set(frame, found);
    return found;
  }
}
