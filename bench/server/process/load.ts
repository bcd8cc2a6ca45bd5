/**
 * The loader: BatchCommands streams with frames that were encoded before, over bare node:http2, so
 * that it costs less than the server. One job in JSON as argument, one JSON line with the result.
 */
import { createHash } from "node:crypto";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { fromBigInt, tikvpb, toBigInt } from "../../../src/pb/index.js";
import { HASH_KEYS, keyAt, randomIndices, SCAN_LIMIT, valueAt } from "../data.js";
import type { LoadJob, LoadResult } from "../job.js";
import {
  isRefused,
  isTxn,
  newestRequest,
  rowsOf,
  Timestamps,
  txnRequest,
  valuesOf,
} from "../txn_frames.js";

const WARMUP_SHARE = 0.2;
const FRAMES = 512;
const LOOK_EVERY = 64;

type Request = tikvpb.BatchCommandsRequest.IRequest;

const job = JSON.parse(process.argv[2] as string) as LoadJob;

function contextOf(): object {
  const u64 = (text: string) => fromBigInt(BigInt(text));
  return {
    regionId: u64(job.regionId),
    regionEpoch: { confVer: u64(job.confVer), version: u64(job.version) },
    peer: { id: u64(job.peerId), storeId: u64(job.storeId) },
    clusterId: u64(job.clusterId),
    requestSource: "external_bench",
    maxExecutionDurationMs: fromBigInt(20_000n),
  };
}

const context = contextOf();

function requestOf(indices: readonly number[]): Request {
  const [index = 0] = indices;
  const start = scanStarts[index];
  if (job.kind === "scan") return { RawScan: { context, startKey: start, limit: SCAN_LIMIT } };
  const keys = start === undefined ? indices.map(keyAt) : [start];
  if (isTxn(job)) return txnRequest(job, context, keys, valueAt(index));
  const [key] = keys;
  if (job.kind === "get") return { RawGet: { context, key } };
  return { RawPut: { context, key, value: valueAt(index) } };
}

/** What the hash pass reads: what the load reads, or what the load has written. */
function readRequestOf(indices: readonly number[]): Request {
  const key = keyAt(indices[0] as number);
  if (job.kind === "put") return { RawGet: { context, key } };
  return job.kind === "onePc" ? newestRequest(context, key) : requestOf(indices);
}

function frameOf(
  indices: readonly number[],
  firstId: number,
  toRequest: (indices: readonly number[]) => Request = requestOf,
): Buffer {
  const { perCommand } = job;
  const commands = Array.from({ length: Math.ceil(indices.length / perCommand) }, (_, i) =>
    indices.slice(i * perCommand, (i + 1) * perCommand),
  );
  const message = tikvpb.BatchCommandsRequest.encode({
    requests: commands.map(toRequest),
    requestIds: commands.map((_, i) => fromBigInt(BigInt(firstId + i * perCommand))),
  }).finish();
  const frame = Buffer.alloc(message.length + 5);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/** First key of each scan of a full pass, in key order; the data are known, so scans need not wait. */
const isScan = job.kind === "scan" || job.kind === "txnScan";
const scanStarts = isScan ? everyKeyOf(job.keys, SCAN_LIMIT) : [];

function everyKeyOf(keys: number, step: number): Buffer[] {
  const sorted = Array.from({ length: keys }, (_, i) => keyAt(i)).sort(Buffer.compare);
  return sorted.filter((_, i) => i % step === 0);
}

const nextIndex = randomIndices(job.keys);

function prepared(): Buffer[] {
  if (isScan) return scanStarts.map((_, scan) => frameOf([scan], 1 + scan));
  const keys = job.perMessage * job.perCommand;
  return Array.from({ length: FRAMES }, (_, f) =>
    frameOf(Array.from({ length: keys }, nextIndex), 1 + f * keys),
  );
}

/** Splits gRPC messages out of a stream of chunks. */
class Messages {
  #rest: Buffer = Buffer.alloc(0);

  constructor(readonly onMessage: (message: Buffer) => void) {}

  push(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 5) {
      const length = bytes.readUInt32BE(1);
      if (bytes.length < 5 + length) break;
      this.onMessage(bytes.subarray(5, 5 + length));
      bytes = bytes.subarray(5 + length);
    }
    this.#rest = bytes;
  }
}

/** Counts the responses of a message: its leading fields with tag 0x0a. */
function responsesOf(message: Buffer): number {
  let count = 0;
  let at = 0;
  while (message[at] === 0x0a) {
    let length = 0;
    let shift = 0;
    let byte = 0;
    at++;
    do {
      byte = message[at++] as number;
      length |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    at += length;
    count++;
  }
  return count;
}

function open(
  session: ClientHttp2Session,
  onMessage: (message: Buffer) => void,
): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": job.path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  const messages = new Messages(onMessage);
  stream.on("data", (chunk: Buffer) => messages.push(chunk));
  stream.on("error", fail);
  stream.on("trailers", (trailers) => {
    if (trailers["grpc-status"] !== "0") fail(new Error(JSON.stringify(trailers)));
  });
  return stream;
}

function fail(error: Error): never {
  console.error(error);
  process.exit(1);
}

/** Scans all rows once, one scan after the other, and hashes keys and values; fails on a gap. */
function scanPass(session: ClientHttp2Session, frames: readonly Buffer[]): Promise<string> {
  const hash = createHash("sha256");
  let scan = 0;
  return new Promise((resolve) => {
    const stream = open(session, (message) => {
      const { responses } = tikvpb.BatchCommandsResponse.decode(message);
      const rows = rowsOf(responses[0]);
      if (rows.length !== SCAN_LIMIT) fail(new Error(`scan ${scan} found ${rows.length} rows`));
      for (const { key, value } of rows) {
        hash.update(key as Uint8Array).update(value as Uint8Array);
      }
      scan++;
      if (scan < frames.length) {
        stream.write(frames[scan] as Buffer);
        return;
      }
      stream.end();
      resolve(hash.digest("hex").slice(0, 12));
    });
    stream.write(frames[0] as Buffer);
  });
}

/** Reads HASH_KEYS keys once and hashes their values in order. */
function hashPass(session: ClientHttp2Session): Promise<string> {
  const values = new Map<number, Uint8Array>();
  const count = Math.min(HASH_KEYS, job.keys);
  return new Promise((resolve) => {
    const stream = open(session, (message) => {
      const { requestIds, responses } = tikvpb.BatchCommandsResponse.decode(message);
      requestIds.forEach((id, i) => {
        const first = Number(toBigInt(id));
        valuesOf(responses[i]).forEach((value, j) => {
          values.set(first + j, value);
        });
      });
      if (values.size < count) return;
      const hash = createHash("sha256");
      for (let i = 0; i < count; i++) hash.update(values.get(i + 1) as Uint8Array);
      stream.end();
      resolve(hash.digest("hex").slice(0, 12));
    });
    for (let from = 0; from < count; from += 128) {
      const indices = Array.from({ length: Math.min(128, count - from) }, (_, i) => from + i);
      stream.write(frameOf(indices, from + 1, readRequestOf));
    }
  });
}

interface Timed {
  readonly responses: number;
  readonly seconds: number;
  readonly latenciesUs: number[];
  readonly refusedShare: number;
}

/** Looks at one message of so many. */
class Samples {
  #messages = 0;
  #looked = 0;
  #refused = 0;

  look(message: Buffer): void {
    if (!isTxn(job) || this.#messages++ % LOOK_EVERY !== 0) return;
    const { responses } = tikvpb.BatchCommandsResponse.decode(message);
    this.#looked += responses.length;
    this.#refused += responses.filter(isRefused).length;
  }

  get refusedShare(): number {
    return this.#refused / Math.max(1, this.#looked);
  }
}

/** Keeps `window` messages in flight on each stream for the time of the job, then waits for the rest. */
function load(sessions: readonly ClientHttp2Session[], frames: readonly Buffer[]): Promise<Timed> {
  const start = performance.now();
  const warmAt = start + job.seconds * 1000 * WARMUP_SHARE;
  const endAt = start + job.seconds * 1000;
  let responses = 0;
  let measuredFrom = 0;
  let next = 0;
  let done = false;
  let outstanding = 0;
  let counted = 0;
  let seconds = 0;
  const latenciesUs: number[] = [];
  const samples = new Samples();
  const timestamps = job.kind === "onePc" ? new Timestamps(job) : undefined;
  return new Promise((resolve) => {
    for (const session of sessions) {
      let missing = 0;
      const sent: number[] = [];
      const send = (): void => {
        const frame = frames[next++ % frames.length] as Buffer;
        timestamps?.stamp(frame);
        stream.write(frame);
        sent.push(performance.now());
        missing += job.perMessage;
        outstanding += job.perMessage;
      };
      const stream = open(session, (message) => {
        const count = responsesOf(message);
        const now = performance.now();
        missing -= count;
        outstanding -= count;
        samples.look(message);
        if (measuredFrom > 0) responses += count;
        else if (now >= warmAt) measuredFrom = now;
        while (!done && missing <= (job.window - 1) * job.perMessage) {
          const at = sent.shift();
          if (at !== undefined && measuredFrom > 0) latenciesUs.push((now - at) * 1000);
          send();
        }
        if (now >= endAt && !done) {
          done = true;
          seconds = (now - measuredFrom) / 1000;
          counted = responses;
        }
        if (!done || outstanding > 0) return;
        resolve({ responses: counted, seconds, latenciesUs, refusedShare: samples.refusedShare });
      });
      for (let i = 0; i < job.window; i++) send();
    }
  });
}

function percentile(values: number[], share: number): number {
  const sorted = values.sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

async function main(): Promise<void> {
  const settings = { initialWindowSize: 16 << 20 };
  const sessions = Array.from({ length: job.connections }, () =>
    connect(`http://127.0.0.1:${job.port}`, { settings }).on("error", fail),
  );
  const [first] = sessions as [ClientHttp2Session];
  const frames = prepared();
  let hash = "-";
  if (isScan) hash = await scanPass(first, frames);
  else if (!job.echo && job.kind !== "onePc") hash = await hashPass(first);
  const before = process.cpuUsage();
  const timed = await load(sessions, frames);
  const { user, system } = process.cpuUsage(before);
  if (job.kind === "onePc") hash = await hashPass(first);
  const result: LoadResult = {
    perSecond: (timed.responses * (isScan ? SCAN_LIMIT : job.perCommand)) / timed.seconds,
    refusedShare: timed.refusedShare,
    responses: timed.responses,
    p50Us: percentile(timed.latenciesUs, 0.5),
    p99Us: percentile(timed.latenciesUs, 0.99),
    loaderCpuUs: user + system,
    hash,
  };
  console.log(JSON.stringify(result));
  process.exit(0);
}

await main();
