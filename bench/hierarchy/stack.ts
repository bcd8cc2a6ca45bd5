/**
 * One store from the engine to the gRPC server in this process, with a BatchCommands stream to
 * itself: so that the same operation can be asked of each level.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import { NULL_LOGGER, NULL_METRICS } from "../../src/base/index.js";
import { type Engine, librocksdbPresent, openEngine } from "../../src/engine/index.js";
import { loadKernels } from "../../src/kernel/index.js";
import { Statistics } from "../../src/mvcc/index.js";
import { fromBigInt, type kvrpcpb, tikvpb } from "../../src/pb/index.js";
import { RAFTSTORE_DEFAULTS } from "../../src/raftstore/index.js";
import { SERVER_DEFAULTS, startTikvServer } from "../../src/server/index.js";
import {
  type ExecDetails,
  STORAGE_DEFAULTS,
  startStore,
  type TxnContext,
  type TxnStorage,
} from "../../src/storage/index.js";
import { REAL_CLOCK } from "../../test/support/clocks.js";
import { FakePd } from "../../test/support/fake_pd.js";
import { loneParts } from "../../test/support/store_parts.js";

const MIB = 1 << 20;
const FIELD_RESPONSES = 0x0a;

type Request = tikvpb.BatchCommandsRequest.IRequest;

export interface Stack {
  readonly engine: Engine;
  readonly txn: TxnStorage;
  readonly ctx: TxnContext;
  readonly context: kvrpcpb.IContext;
  readonly stream: CountingStream;
  close(): Promise<void>;
}

export function newDetails(): ExecDetails {
  const statistics = new Statistics();
  return { statistics, waitMs: 0, processMs: 0, latchWaitMs: 0, writeMs: 0, lockWaitMs: 0 };
}

/** Returns a message with `requests`, their ids from 1 on. */
export function frameOf(requests: readonly Request[]): Uint8Array {
  const requestIds = requests.map((_, i) => fromBigInt(BigInt(i + 1)));
  return tikvpb.BatchCommandsRequest.encode({ requests: [...requests], requestIds }).finish();
}

/** Counts the responses of a message: its leading fields. */
function responsesOf(message: Uint8Array): number {
  let count = 0;
  for (let at = 0; message[at] === FIELD_RESPONSES; count++) {
    let length = 0;
    let shift = 0;
    let byte = 0x80;
    for (at++; byte >= 0x80; shift += 7) {
      byte = message[at++] as number;
      length |= (byte & 0x7f) << shift;
    }
    at += length;
  }
  return count;
}

/** A BatchCommands stream that sends ready messages and counts answers: little beside the server. */
export class CountingStream {
  /** The message that came last. */
  last: Uint8Array = new Uint8Array(0);
  private missing = 0;
  private onDone: () => void = () => undefined;

  constructor(private readonly stream: ClientDuplexStream<Uint8Array, Buffer>) {
    stream.on("data", (bytes: Buffer) => {
      this.last = bytes;
      this.missing -= responsesOf(bytes);
      if (this.missing === 0) this.onDone();
    });
    stream.on("error", () => undefined);
  }

  /** Sends one message at a time; resolves when its `count` answers are here. */
  send(frame: Uint8Array, count: number): Promise<void> {
    this.missing = count;
    return new Promise((resolve) => {
      this.onDone = resolve;
      this.stream.write(frame);
    });
  }
}

/** Opens a stack in a fresh directory. */
export async function openStack(): Promise<Stack> {
  const path = mkdtempSync(join(tmpdir(), "rutile-bench-"));
  const onFatal = (error: Error): never => {
    throw error;
  };
  const engine = await openEngine({
    path: join(path, "db"),
    binding: librocksdbPresent() ? "librocksdb" : "memory",
    blockCacheBytes: 256 * MIB,
    writeBufferBytes: 64 * MIB,
    onFatal,
  });
  const kernels = loadKernels();
  const common = { clock: REAL_CLOCK, logger: NULL_LOGGER, metrics: NULL_METRICS, kernels };
  const raftstore = { ...RAFTSTORE_DEFAULTS, address: "127.0.0.1:20160", version: "8.5.0" };
  const signal = new AbortController().signal;
  const store = await startStore(
    { raftstore, storage: { ...STORAGE_DEFAULTS, reserveSpaceBytes: 0 } },
    { ...common, ...loneParts(), engine, pd: new FakePd(), signal, onFatal },
  );
  const { storage } = store;
  const { txn } = storage;
  if (txn === undefined) throw new Error("the store has no transactions");
  const server = await startTikvServer({ ...SERVER_DEFAULTS, port: 0 }, { ...common, storage });
  const client = new Client(server.address, credentials.createInsecure());
  const stream = client.makeBidiStreamRequest(
    "/tikvpb.Tikv/BatchCommands",
    (bytes: Uint8Array) => Buffer.from(bytes),
    (bytes: Buffer) => bytes,
  );
  const [region] = store.regions();
  if (region === undefined) throw new Error("the store has no region");
  const [peer] = region.peers;
  const ctx = contextOf(region, peer?.id ?? 0n, peer?.storeId ?? 0n);
  const context = {
    regionId: fromBigInt(ctx.regionId),
    regionEpoch: { confVer: fromBigInt(ctx.confVer), version: fromBigInt(ctx.version) },
    peer: { id: fromBigInt(ctx.peerId), storeId: fromBigInt(ctx.storeId) },
  };
  return {
    ...{ engine, txn, ctx, context, stream: new CountingStream(stream) },
    async close() {
      stream.cancel();
      client.close();
      await server.stop(100);
      await store.stop();
      await engine.close();
      rmSync(path, { recursive: true });
    },
  };
}

function contextOf(
  region: { readonly id: bigint; readonly confVer: bigint; readonly version: bigint },
  peerId: bigint,
  storeId: bigint,
): TxnContext {
  return {
    regionId: region.id,
    confVer: region.confVer,
    version: region.version,
    peerId,
    storeId,
    term: 0n,
    apiVersion: 0,
    keyspaceId: 0,
    replicaRead: false,
    staleRead: false,
    isolation: "si",
    resolvedLocks: [],
    committedLocks: [],
    fillCache: true,
    maxExecutionMs: 0,
  };
}
