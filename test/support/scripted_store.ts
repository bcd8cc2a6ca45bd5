/**
 * A scripted store over gRPC: raw commands on a FakeCluster's pairs, unary and in BatchCommands, with
 * contexts checked as TiKV does. Tests queue region errors, hold answers back, cut streams.
 */
import * as grpc from "@grpc/grpc-js";
import { EMPTY_BYTES, keyInRange } from "../../src/base/index.js";
import {
  type errorpb,
  type kvrpcpb,
  type metapb,
  serviceDefinition,
  type tikvpb,
  toBigInt,
  toNumber,
} from "../../src/pb/index.js";
import type { FakeCluster, FakeRegion } from "./fake_cluster.js";
import { type BoundServer, serveGrpc } from "./grpc_server.js";

type Command = keyof tikvpb.BatchCommandsRequest.IRequest | "RawGetKeyTTL" | "RawCompareAndSwap";

interface RawRequest {
  readonly context: kvrpcpb.Context | null;
}

/** Returns a region error for a command, or undefined to serve it. */
export type ErrorScript = (command: string, request: RawRequest) => errorpb.IError | undefined;

type BatchStream = grpc.ServerDuplexStream<
  tikvpb.BatchCommandsRequest,
  tikvpb.IBatchCommandsResponse
>;

const UNARY = [
  "RawGet",
  "RawBatchGet",
  "RawPut",
  "RawBatchPut",
  "RawDelete",
  "RawBatchDelete",
].concat([
  "RawDeleteRange",
  "RawScan",
  "RawGetKeyTTL",
  "RawCompareAndSwap",
  "RawChecksum",
]) as readonly Command[];

export class ScriptedStore {
  readonly id: number;
  readonly cluster: FakeCluster;
  /** Sizes of the BatchCommands messages that came. */
  readonly batchSizes: number[] = [];
  /** Commands that were looked at, unary ones with a star in front. */
  readonly log: string[] = [];
  /** Contexts of the commands, beside `log`. */
  readonly contexts: (kvrpcpb.Context | null)[] = [];
  script: ErrorScript = () => undefined;
  /** What Raw responses carry in `error`; "" for none. */
  refusal = "";
  /** Whether BatchCommands messages get no answer. */
  silent = false;
  /** Called with each message; true: the stream was dealt with. */
  onBatch: (stream: BatchStream, message: tikvpb.BatchCommandsRequest) => boolean = () => false;
  /** Like onBatch for unary calls: an error to answer with, after the command was executed. */
  unaryFailure:
    | ((command: string) => { code: grpc.status; details: string } | undefined)
    | undefined;
  #server: BoundServer | undefined;
  readonly #streams = new Set<BatchStream>();

  constructor(id: number, cluster: FakeCluster) {
    this.id = id;
    this.cluster = cluster;
  }

  /** Starts a store and tells the cluster its address. */
  static async start(id: number, cluster: FakeCluster, port = 0): Promise<ScriptedStore> {
    const store = new ScriptedStore(id, cluster);
    await store.listen(port);
    return store;
  }

  get address(): string {
    return this.#server?.address as string;
  }

  get port(): number {
    return Number(this.address.split(":")[1]);
  }

  async listen(port: number): Promise<void> {
    const handlers: grpc.UntypedServiceImplementation = {
      BatchCommands: (stream: BatchStream) => this.#onStream(stream),
    };
    for (const command of UNARY) {
      handlers[command] = (
        call: grpc.ServerUnaryCall<RawRequest, object>,
        reply: grpc.sendUnaryData<object>,
      ) => {
        const response = this.#execute(command, call.request, "*");
        const failure = this.unaryFailure?.(command);
        if (failure === undefined) reply(null, response);
        else reply(failure, null);
      };
    }
    this.#server = await serveGrpc([[serviceDefinition("tikvpb.Tikv"), handlers]], port);
    this.cluster.addresses.set(this.id, this.#server.address);
  }

  stop(): void {
    this.#server?.stop();
  }

  /** Ends all streams with an error, as a crash would look to a client. */
  cutStreams(): void {
    for (const stream of this.#streams) {
      stream.emit("error", { code: grpc.status.UNAVAILABLE, details: "cut" });
    }
    this.#streams.clear();
  }

  #onStream(stream: BatchStream): void {
    this.#streams.add(stream);
    stream.on("error", () => this.#streams.delete(stream));
    stream.on("end", () => stream.end());
    stream.on("data", (message: tikvpb.BatchCommandsRequest) => {
      this.batchSizes.push(message.requests.length);
      if (this.silent || this.onBatch(stream, message)) return;
      const responses = message.requests.map((request) => {
        const command = request.cmd as keyof tikvpb.BatchCommandsRequest.Request;
        return { [command]: this.#execute(command as Command, request[command] as never, "") };
      });
      // Backwards, because ids may come in any order.
      const requestIds = [...message.requestIds].reverse();
      stream.write({ responses: responses.reverse(), requestIds });
    });
  }

  #execute(command: Command, request: RawRequest, mark: string): object {
    this.log.push(mark + command);
    this.contexts.push(request.context);
    const region = this.cluster.regions.find(
      ({ id }) => BigInt(id) === toBigInt(request.context?.regionId ?? 0),
    );
    const regionError = this.script(command, request) ?? this.#check(request, region);
    if (regionError !== undefined) return { regionError };
    const outside = keysOf(request).find((key) => !inRegion(key, region as FakeRegion));
    if (outside !== undefined) {
      return { regionError: { message: "key not in region", keyNotInRegion: { key: outside } } };
    }
    if (this.refusal !== "") return { error: this.refusal };
    const run = this.#run as unknown as Record<string, (request: RawRequest) => object>;
    return (run[command] as (request: RawRequest) => object)(request);
  }

  #check({ context }: RawRequest, region: FakeRegion | undefined): errorpb.IError | undefined {
    const peer = region?.peers.find(({ storeId }) => storeId === this.id);
    const requestStoreId = context?.peer?.storeId ?? 0;
    if (toBigInt(requestStoreId) !== BigInt(this.id)) {
      return {
        message: "store not match",
        storeNotMatch: { requestStoreId, actualStoreId: this.id },
      };
    }
    if (region === undefined || peer === undefined) {
      return { message: "region not found", regionNotFound: {} };
    }
    if (region.leader !== this.id) {
      const leader = region.peers.find(({ storeId }) => storeId === region.leader) ?? null;
      return { message: "not leader", notLeader: { regionId: region.id, leader } };
    }
    const epoch = context?.regionEpoch;
    const same =
      toNumber(epoch?.version ?? 0) === region.version &&
      toNumber(epoch?.confVer ?? 0) === region.confVer;
    if (same) return undefined;
    const currentRegions = this.cluster.regions.map(regionMessage);
    return { message: "epoch not match", epochNotMatch: { currentRegions } };
  }

  readonly #run = {
    RawGet: ({ key }: kvrpcpb.RawGetRequest): object => {
      const pair = this.cluster.get(key);
      return pair === undefined ? { notFound: true } : { value: pair.value };
    },
    RawBatchGet: ({ keys }: kvrpcpb.RawBatchGetRequest): object => ({
      pairs: keys.flatMap((key) => {
        const pair = this.cluster.get(key);
        return pair === undefined ? [] : [{ key, value: pair.value }];
      }),
    }),
    RawPut: ({ key, ttl, value }: kvrpcpb.RawPutRequest): object => {
      this.cluster.put(key, value, toNumber(ttl));
      return {};
    },
    RawBatchPut: ({ pairs, ttls }: kvrpcpb.RawBatchPutRequest): object => {
      for (const [i, { key, value }] of pairs.entries()) {
        this.cluster.put(key, value, toNumber(ttls[i] ?? 0));
      }
      return {};
    },
    RawDelete: ({ key }: kvrpcpb.RawDeleteRequest): object => {
      this.cluster.delete(key);
      return {};
    },
    RawBatchDelete: ({ keys }: kvrpcpb.RawBatchDeleteRequest): object => {
      for (const key of keys) this.cluster.delete(key);
      return {};
    },
    RawDeleteRange: ({ endKey, startKey }: kvrpcpb.RawDeleteRangeRequest): object => {
      for (const [key] of this.cluster.range(startKey, endKey)) this.cluster.delete(key);
      return {};
    },
    RawScan: (request: kvrpcpb.RawScanRequest): object => {
      const { endKey, limit, reverse, startKey } = request;
      // As in TiKV, an empty start of a reverse scan is below all keys.
      const found = reverse
        ? startKey.length === 0
          ? []
          : this.cluster.range(endKey, startKey).reverse()
        : this.cluster.range(startKey, endKey);
      const value = (bytes: Uint8Array): Uint8Array => (request.keyOnly ? EMPTY_BYTES : bytes);
      return {
        kvs: found.slice(0, limit).map(([key, pair]) => ({ key, value: value(pair.value) })),
      };
    },
    RawGetKeyTTL: ({ key }: kvrpcpb.RawGetKeyTTLRequest): object => {
      const pair = this.cluster.get(key);
      return pair === undefined ? { notFound: true } : { ttl: pair.ttl };
    },
    RawCompareAndSwap: (request: kvrpcpb.RawCASRequest): object => {
      const pair = this.cluster.get(request.key);
      const same =
        pair === undefined
          ? request.previousNotExist
          : !request.previousNotExist && Buffer.compare(pair.value, request.previousValue) === 0;
      if (same) this.cluster.put(request.key, request.value, toNumber(request.ttl));
      const previous = { previousNotExist: pair === undefined, previousValue: pair?.value ?? null };
      return { succeed: same, ...previous };
    },
    RawChecksum: ({ ranges }: kvrpcpb.RawChecksumRequest): object => {
      const found = ranges.flatMap((range) => this.cluster.range(range.startKey, range.endKey));
      let sum = 0;
      for (const [key, { value }] of found) sum ^= key.length * 31 + value.length;
      const totalBytes = found.reduce((n, [key, { value }]) => n + key.length + value.length, 0);
      return { checksum: sum, totalKvs: found.length, totalBytes };
    },
  };
}

function regionMessage(region: FakeRegion): metapb.IRegion {
  const { confVer, end, id, peers, start, version } = region;
  return { id, startKey: start, endKey: end, regionEpoch: { confVer, version }, peers };
}

function inRegion(key: Uint8Array, region: FakeRegion): boolean {
  return keyInRange(key, region.start, region.end);
}

/** Keys that must lie in the region; a scan's end may lie on its boundary. */
function keysOf(request: object): Uint8Array[] {
  const { key, keys, pairs, reverse, startKey } = request as {
    key?: Uint8Array;
    keys?: Uint8Array[];
    pairs?: { key: Uint8Array }[];
    startKey?: Uint8Array;
    reverse?: boolean;
  };
  if (reverse === true) return [];
  return [...(key ? [key] : []), ...(keys ?? []), ...(pairs ?? []).map((pair) => pair.key)].concat(
    startKey === undefined ? [] : [startKey],
  );
}
