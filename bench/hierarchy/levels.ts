/**
 * The same operation asked of each level of one store: a read of one key at a timestamp, and a
 * transaction of one key in two phases; processor time an operation, the levels in turns. Each level
 * includes those left of it. "gRPC" is BatchCommands, 128 commands a message, with the client's
 * share of the stream; beside it RawGet, which has no versions to find.
 */
import { concatBytes, EMPTY_BYTES, utf8 } from "../../src/base/index.js";
import {
  dataKey,
  encodeLock,
  encodeWrite,
  keyAppendTs,
  keyFromRaw,
  newLock,
  newWrite,
} from "../../src/codec/index.js";
import { PointGetter, type ReadPoint, Statistics } from "../../src/mvcc/index.js";
import { fromBigInt } from "../../src/pb/index.js";
import type { ReadDelegate } from "../../src/raftstore/index.js";
import { BoundedSnapshot } from "../../src/storage/kv_engine.js";
import { TxnSnapshot } from "../../src/storage/txn_snapshot.js";
import { ConcurrencyManager, commandOf, type RequestOf } from "../../src/txn/index.js";
import { type BenchContext, type Report, randomBytes, seededU32 } from "../harness.js";
import { measureRounds, type RoundCase } from "./rounds.js";
import { frameOf, newDetails, openStack, type Stack } from "./stack.js";

const KEYS = 50_000;
const SMOKE_KEYS = 500;
const BATCH_RECORDS = 1000;
const VALUE_BYTES = 100;
/** Operations of a call. */
const GROUP = 128;
const FRAMES = 64;
/** The data's. Later transactions count on from here. */
const COMMIT_TS = 10n;
const WHOLE_REGION = { region: { startKey: EMPTY_BYTES, endKey: EMPTY_BYTES } } as ReadDelegate;

const userKey = (i: number): Uint8Array => utf8(`user${String(i).padStart(12, "0")}`);
const encodedKey = (i: number): Uint8Array => keyFromRaw(userKey(i));

/** The same values under raw keys and as versions. */
async function load({ engine }: Stack, keys: number): Promise<void> {
  const next = seededU32();
  let batch = engine.newWriteBatch();
  for (let i = 0; i < keys; i++) {
    const shortValue = randomBytes(next, VALUE_BYTES);
    const record = encodeWrite(newWrite({ type: 0x50, startTs: 5n, shortValue }));
    batch.put("write", dataKey(keyAppendTs(encodedKey(i), COMMIT_TS)), record);
    batch.put("default", dataKey(userKey(i)), shortValue);
    if (batch.count < BATCH_RECORDS && i < keys - 1) continue;
    await engine.write(batch, { sync: false });
    batch = engine.newWriteBatch();
  }
  await engine.compact();
}

/** Returns what goes through `count` things in turn. */
function cycle<T>(count: number, make: (index: number) => T): () => T {
  const all = Array.from({ length: count }, (_, i) => make(i));
  let at = 0;
  return () => all[at++ % all.length] as T;
}

function getCases({ engine, txn, ctx, context, stream }: Stack, keys: number): RoundCase[] {
  const next = seededU32();
  const groups = Array.from({ length: FRAMES }, () =>
    Array.from({ length: GROUP }, () => next() % keys),
  );
  const group = cycle(FRAMES, (i) => (groups[i] as number[]).map(encodedKey));
  const stored = cycle(FRAMES, (i) =>
    (groups[i] as number[]).map((key) => dataKey(keyAppendTs(encodedKey(key), COMMIT_TS))),
  );
  const version = fromBigInt(1000n);
  const kvGets = cycle(FRAMES, (i) =>
    frameOf(
      (groups[i] as number[]).map((key) => ({ Get: { context, key: userKey(key), version } })),
    ),
  );
  const rawGets = cycle(FRAMES, (i) =>
    frameOf((groups[i] as number[]).map((key) => ({ RawGet: { context, key: userKey(key) } }))),
  );
  const point: ReadPoint = {
    ...{ ts: 1000n, isolation: "si", bypassLocks: [], accessLocks: [], isReplicaRead: false },
  };
  const withGetter = (use: (getter: PointGetter) => void): void => {
    const snapshot = new BoundedSnapshot(WHOLE_REGION, engine.snapshot());
    const getter = new PointGetter(new TxnSnapshot(snapshot), new Statistics(), point);
    use(getter);
    getter.close();
    snapshot.close();
  };
  return [
    {
      series: "engine",
      items: GROUP,
      call() {
        for (const key of stored()) engine.get("write", key);
      },
    },
    {
      series: "mvcc",
      items: GROUP,
      call() {
        for (const key of group()) withGetter((getter) => void getter.get(key));
      },
    },
    {
      series: "mvcc batch",
      items: GROUP,
      call: () => withGetter((getter) => void getter.getMany(group())),
    },
    {
      series: "storage",
      items: GROUP,
      call() {
        for (const key of group()) void txn.get(ctx, key, 1000n, newDetails());
      },
    },
    { series: "gRPC", items: GROUP, call: () => stream.send(kvGets(), GROUP) },
    { series: "gRPC RawGet", items: GROUP, call: () => stream.send(rawGets(), GROUP) },
  ];
}

/** Timestamps and keys of transactions that do not meet. */
class Transactions {
  private ts = 2000n;
  private key = 0;

  constructor(private readonly keys: number) {}

  next(): { readonly index: number; readonly startTs: bigint; readonly commitTs: bigint } {
    this.ts += 2n;
    return { index: this.key++ % this.keys, startTs: this.ts, commitTs: this.ts + 1n };
  }

  group() {
    return Array.from({ length: GROUP }, () => this.next());
  }
}

const VALUE = new Uint8Array(VALUE_BYTES).fill(7);

function prewriteOf(index: number, startTs: bigint): RequestOf<"prewrite"> {
  const mutation = {
    op: "put",
    key: encodedKey(index),
    value: VALUE,
    assertion: "none",
    pessimisticAction: "skipPessimisticCheck",
    expectedForUpdateTs: 0n,
  } as const;
  return {
    ...{ kind: "prewrite", mutations: [mutation], primary: userKey(index), startTs },
    ...{ lockTtlMs: 3000n, forUpdateTs: 0n, txnSize: 1n, minCommitTs: 0n, maxCommitTs: 0n },
    ...{ skipConstraintCheck: false, isRetryRequest: false, secondaries: undefined },
    ...{ useAsyncCommit: false, tryOnePc: false, assertionLevel: "off", txnSource: 0n },
  };
}

const commitOf = (index: number, startTs: bigint, commitTs: bigint): RequestOf<"commit"> => ({
  ...{ kind: "commit", keys: [encodedKey(index)], startTs, commitTs },
});

/** The records of both phases as engine writes: each synced, as the log's are. */
async function writeRecords({ engine }: Stack, index: number, startTs: bigint, commitTs: bigint) {
  const key = encodedKey(index);
  const primary = userKey(index);
  const locked = engine.newWriteBatch();
  const lock = newLock({ type: 0x50, primary, startTs, ttl: 3000n, shortValue: VALUE });
  locked.put("lock", dataKey(key), encodeLock(lock));
  await engine.write(locked, { sync: true });
  const committed = engine.newWriteBatch();
  const write = newWrite({ type: 0x50, startTs, shortValue: VALUE });
  committed.put("write", dataKey(keyAppendTs(key, commitTs)), encodeWrite(write));
  committed.delete("lock", dataKey(key));
  await engine.write(committed, { sync: true });
}

/** A command's rules over a snapshot, and its changes written at once. */
async function runRules<K extends "prewrite" | "commit">({ engine }: Stack, request: RequestOf<K>) {
  const snapshot = new BoundedSnapshot(WHOLE_REGION, engine.snapshot());
  const kind = request.kind as K;
  const outcome = commandOf(kind).processWrite(
    { request },
    {
      snapshot: new TxnSnapshot(snapshot),
      concurrencyManager: RULES_MANAGER,
      statistics: new Statistics(),
      maxTsSynced: true,
      committedTs: () => undefined,
    },
  );
  snapshot.close();
  if (!outcome.ok || outcome.value.type !== "write") throw new Error(`${kind} is refused`);
  const batch = engine.newWriteBatch();
  for (const { cf, key, value } of outcome.value.modifies) {
    if (value === undefined) batch.delete(cf, dataKey(key));
    else batch.put(cf, dataKey(key), value);
  }
  await engine.write(batch, { sync: true });
}

const RULES_MANAGER = new ConcurrencyManager(0n);

function txnCases(stack: Stack, keys: number): RoundCase[] {
  const transactions = new Transactions(keys);
  const { txn, ctx, context, stream } = stack;
  const all = async (one: (index: number, startTs: bigint, commitTs: bigint) => Promise<void>) => {
    const group = transactions.group();
    await Promise.all(group.map(({ index, startTs, commitTs }) => one(index, startTs, commitTs)));
  };
  const run = async <K extends "prewrite" | "commit">(request: RequestOf<K>): Promise<void> => {
    const reply = await txn.run<K>(ctx, request, newDetails());
    if (!reply.ok) throw new Error(`${request.kind} fails`);
  };
  return [
    { series: "engine", items: GROUP, call: () => all((...one) => writeRecords(stack, ...one)) },
    {
      series: "txn",
      items: GROUP,
      call: () =>
        all(async (index, startTs, commitTs) => {
          await runRules<"prewrite">(stack, prewriteOf(index, startTs));
          await runRules<"commit">(stack, commitOf(index, startTs, commitTs));
        }),
    },
    {
      series: "storage",
      items: GROUP,
      call: () =>
        all(async (index, startTs, commitTs) => {
          await run<"prewrite">(prewriteOf(index, startTs));
          await run<"commit">(commitOf(index, startTs, commitTs));
        }),
    },
    {
      series: "gRPC",
      items: GROUP,
      async call() {
        const group = transactions.group();
        const prewrites = group.map(({ index, startTs }) => {
          const key = userKey(index);
          const mutations = [{ op: 0, key, value: VALUE }];
          const startVersion = fromBigInt(startTs);
          const lockTtl = fromBigInt(3000n);
          return { Prewrite: { context, mutations, primaryLock: key, startVersion, lockTtl } };
        });
        await stream.send(frameOf(prewrites), GROUP);
        const commits = group.map(({ index, startTs, commitTs }) => {
          const versions = {
            startVersion: fromBigInt(startTs),
            commitVersion: fromBigInt(commitTs),
          };
          return { Commit: { context, keys: [userKey(index)], ...versions } };
        });
        await stream.send(frameOf(commits), GROUP);
      },
    },
  ];
}

/** Every level reads the same value, and the gRPC levels answer with it. */
async function check({ engine, txn, ctx, context, stream }: Stack): Promise<void> {
  const want = engine.get("default", dataKey(userKey(7))) as Uint8Array;
  const reply = await txn.get(ctx, encodedKey(7), 1000n, newDetails());
  const bytes = reply.ok ? reply.value.value : undefined;
  const same = bytes !== undefined && Buffer.compare(bytes, want) === 0;
  const version = fromBigInt(1000n);
  await stream.send(frameOf([{ Get: { context, key: userKey(7), version } }]), 1);
  const answered = Buffer.from(stream.last).includes(Buffer.from(concatBytes(want)));
  if (!same || !answered) throw new Error("a level reads another value");
}

function shares(name: string, reports: readonly Report[]): void {
  const [base] = reports as [Report];
  const all = reports.map(({ series, median }) => `${series} ${(median / base.median).toFixed(1)}`);
  console.log(`${name}, times the engine's cost: ${all.join(", ")}`);
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const keys = context.mode === "smoke" ? SMOKE_KEYS : KEYS;
  const stack = await openStack();
  await load(stack, keys);
  await check(stack);
  const params = { engine: stack.engine.binding, keys };
  const gets = await measureRounds(context, "get", params, getCases(stack, keys));
  const txns = await measureRounds(context, "1-key transaction", params, txnCases(stack, keys));
  await stack.close();
  shares("get", gets);
  shares("1-key transaction", txns);
  const of = (series: string): number =>
    (gets.find((report) => report.series === series) as Report).median;
  const ratio = of("gRPC RawGet") / of("gRPC");
  console.log(`snapshot get over BatchCommands: ${ratio.toFixed(2)} of RawGet, client included`);
  return [...gets, ...txns];
}
