/**
 * KvGets of one turn of BatchCommands, answered together: requests are read where they lie in the
 * arena, contexts are decoded once, keys are packed, responses are written behind each other. A
 * request that is not plain, or that storage cannot answer at once, goes the way of one. Hot path.
 * Source: kvrpcpb.GetRequest.
 */
import { concatBytes } from "../base/index.js";
import { keyToRaw } from "../codec/index.js";
import { PointList } from "../mvcc/index.js";
import {
  fromBigInt,
  kvrpcpb,
  MalformedWire,
  varintSize,
  WireReader,
  WireWriter,
} from "../pb/index.js";
import type { AnswerBlock } from "./batch_blocks.js";
import { CMD_KV_GET, type ColdPath, type ColdRequest } from "./batch_cold.js";
import { ASKER_STRIDE, type GetGroup, GetResponses } from "./batch_kv_responses.js";
import type { BatchStream } from "./batch_stream.js";
import { isOtherCluster } from "./context.js";
import { newExecDetails } from "./exec_details.js";
import { txnContext } from "./txn_context.js";

/** Tags of GetRequest: context 1, key 2, version 3. */
const TAG_CONTEXT = 0x0a;
const TAG_KEY = 0x12;
const TAG_VERSION = 0x18;
/** Below, a snapshot and a decision for all cost as much as for each. */
const TOGETHER_MIN = 2;

/** Where the fields of a request lie. */
interface Parsed {
  contextAt: number;
  contextEnd: number;
  keyAt: number;
  keyEnd: number;
  hasVersion: boolean;
  tsHigh: number;
  tsLow: number;
}

/** Collects the gets of a turn, and answers them when the turn has given the arena back. */
export class KvGets {
  readonly #cold: Pick<ColdPath, "context" | "observe">;
  /** By the bytes of their context. */
  #groups = new Map<string, GetGroup>();
  #last: GetGroup | undefined;

  constructor(cold: Pick<ColdPath, "context" | "observe">) {
    this.#cold = cold;
  }

  /** Takes the request in `[at, at + length)`; false when it is not plain, and not taken. */
  take(
    stream: number,
    idLow: number,
    idHigh: number,
    bytes: Uint8Array,
    at: number,
    length: number,
  ): boolean {
    if (this.#cold.context.storage.txn?.getMany === undefined) return false;
    const parsed = parse(bytes, at, at + length);
    if (parsed === undefined) return false;
    const { contextAt, contextEnd, keyAt, keyEnd, tsHigh, tsLow } = parsed;
    const group = this.#groupOf(bytes, contextAt, contextEnd);
    group.list.addUserKey(bytes, keyAt, keyEnd - keyAt, tsHigh, tsLow);
    group.askers.push(stream, idLow, idHigh);
    return true;
  }

  /** Adds the answers to `blocks`, and to `alone` what has to be served alone. */
  serve(streams: readonly BatchStream[], blocks: AnswerBlock[], alone: ColdRequest[]): void {
    if (this.#last === undefined) return;
    const groups = this.#groups;
    this.#groups = new Map();
    this.#last = undefined;
    for (const group of groups.values()) {
      const responses = group.list.length < TOGETHER_MIN ? undefined : this.#read(streams, group);
      responses?.moveTo(blocks);
      if (responses !== undefined) {
        this.#cold.observe(CMD_KV_GET, responses.totalMs, responses.answered);
      }
      const { list, askers } = group;
      for (let item = 0; item < list.length; item++) {
        if (responses?.isAnswered(item) === true) continue;
        const at = item * ASKER_STRIDE;
        const stream = streams[askers[at] as number] as BatchStream;
        const idLow = askers[at + 1] as number;
        const idHigh = askers[at + 2] as number;
        alone.push({ stream, idLow, idHigh, body: requestOf(group, item) });
      }
    }
  }

  /** Reads a group; undefined: each of it is to be served alone. */
  #read(streams: readonly BatchStream[], group: GetGroup): GetResponses | undefined {
    const { storage, clock } = this.#cold.context;
    const details = newExecDetails();
    let decoded: kvrpcpb.Context;
    try {
      decoded = kvrpcpb.Context.decode(group.context);
    } catch {
      return undefined;
    }
    if (isOtherCluster(decoded, storage.clusterId)) return undefined;
    const responses = new GetResponses(streams, group, details, clock);
    try {
      const { list } = group;
      const isRead = storage.txn?.getMany?.(txnContext(decoded), list, details, responses);
      return isRead === true ? responses : undefined;
    } catch {
      // Damage: the request that met it meets it again alone, and says so to its client and the log.
      return undefined;
    }
  }

  #groupOf(bytes: Uint8Array, at: number, end: number): GetGroup {
    const last = this.#last;
    if (last !== undefined && isAt(last.context, bytes, at, end)) return last;
    const name = Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString("latin1");
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { context: bytes.slice(at, end), list: new PointList(), askers: [] };
      this.#groups.set(name, group);
    }
    this.#last = group;
    return group;
  }
}

/** Whether `[at, end)` of `bytes` is `wanted`. Most contexts of a turn are one. */
function isAt(wanted: Uint8Array, bytes: Uint8Array, at: number, end: number): boolean {
  const { length } = wanted;
  if (end - at !== length) return false;
  for (let i = 0; i < length; i++) if (wanted[i] !== bytes[at + i]) return false;
  return true;
}

/** Takes a request apart; undefined when it has other fields, or two of a kind, or is damaged. */
function parse(bytes: Uint8Array, at: number, end: number): Parsed | undefined {
  const reader = new WireReader(bytes, at, end);
  const parsed: Parsed = {
    contextAt: -1,
    contextEnd: -1,
    keyAt: -1,
    keyEnd: -1,
    hasVersion: false,
    tsHigh: 0,
    tsLow: 0,
  };
  try {
    while (reader.more) if (!parseField(reader, parsed)) return undefined;
  } catch (error) {
    if (error instanceof MalformedWire) return undefined;
    throw error;
  }
  return parsed.contextAt < 0 || parsed.keyAt < 0 || !parsed.hasVersion ? undefined : parsed;
}

/** Returns false for a field that no plain request has. */
function parseField(reader: WireReader, parsed: Parsed): boolean {
  const tag = reader.tag();
  if (tag === TAG_CONTEXT && parsed.contextAt < 0) {
    parsed.contextEnd = reader.inner();
    parsed.contextAt = reader.at;
    reader.at = parsed.contextEnd;
  } else if (tag === TAG_KEY && parsed.keyAt < 0) {
    parsed.keyEnd = reader.inner();
    parsed.keyAt = reader.at;
    reader.at = parsed.keyEnd;
  } else if (tag === TAG_VERSION && !parsed.hasVersion) {
    reader.varint();
    parsed.hasVersion = true;
    parsed.tsHigh = reader.high;
    parsed.tsLow = reader.low;
  } else return false;
  return true;
}

/** Writes the request of an item anew: what a plain one says is all here. */
function requestOf({ context, list }: GetGroup, item: number): Uint8Array {
  const head = new WireWriter(new Uint8Array(1 + varintSize(context.length) + context.length));
  head.open(TAG_CONTEXT, context.length);
  head.copy(context, 0, context.length);
  const request = { key: keyToRaw(list.key(item)), version: fromBigInt(list.ts(item)) };
  return concatBytes(head.finish(), kvrpcpb.GetRequest.encode(request).finish());
}
