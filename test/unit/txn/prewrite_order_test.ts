/**
 * The order of steps that makes async commit and 1PC linearizable (semantics 2.1). A read at every
 * step of a real prewrite either pushes min_commit_ts above its timestamp or meets the lock; then
 * all interleavings of the two orders are tried, and all but the right orders are caught.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { LOCK_TYPE, type Lock, newLock } from "../../../src/codec/index.js";
import { ConcurrencyManager, type LockGuard } from "../../../src/txn/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { asyncCommit, encode, prewriteRequest, put } from "../../support/txn_requests.js";

const START_TS = 10n;

/** Tells of each step; what `at` does happens right before the step is done. */
class WatchedManager extends ConcurrencyManager {
  at: (step: string) => void = () => {};

  override get maxTs(): bigint {
    this.at("compute");
    return super.maxTs;
  }

  override lockKey(key: Uint8Array): LockGuard {
    this.at("lock");
    const guard = super.lockKey(key);
    const publish = (lock: Lock): void => {
      this.at("publish");
      guard.publish(lock);
    };
    const release = (): void => {
      this.at("release");
      guard.release();
    };
    return { key, publish, release };
  }
}

interface Run {
  readonly steps: readonly string[];
  /** No commit of the transaction can be below. */
  readonly commitTs: bigint;
}

/** Prewrites `keys` and tells `at` of each step before it happens, "done" last. */
function prewrite(
  txn: TxnMust,
  keys: readonly string[],
  fields: Parameters<typeof prewriteRequest>[3],
  at: (step: string, index: number) => void,
): Run {
  const steps: string[] = [];
  const step = (name: string): void => {
    steps.push(name);
    at(name, steps.length - 1);
  };
  const manager = new WatchedManager(1n);
  manager.at = step;
  txn.concurrencyManager = manager;
  const mutations = keys.map((key) => put(key, "new"));
  const request = prewriteRequest(mutations, "a", START_TS, fields);
  const outcome = txn.process<"prewrite">({ request });
  if (!outcome.ok) throw new Error(outcome.error.kind);
  step("write");
  txn.engine.apply(outcome.value.modifies);
  for (const guard of outcome.value.guards) guard.release();
  step("done");
  manager.at = () => {};
  const { minCommitTs, onePcCommitTs } = outcome.value.response;
  return { steps, commitTs: onePcCommitTs === 0n ? minCommitTs : onePcCommitTs };
}

const KINDS = [asyncCommit("b"), { tryOnePc: true }] as const;

test("lock the key's handle, compute min_commit_ts, publish, write, release", () => {
  for (const fields of KINDS) {
    const { steps } = prewrite(new TxnMust(), ["a", "b"], fields, () => {});
    const key = ["lock", "compute", "publish"];
    assert.equal(steps, [...key, ...key, "write", "release", "release", "done"]);
  }
});

test("a read at any step pushes min_commit_ts or meets the lock", () => {
  const seen = new Set<string>();
  for (const fields of KINDS) {
    const { steps } = prewrite(new TxnMust(), ["a", "b"], fields, () => {});
    for (const [at, step] of steps.entries()) {
      // No turn ends between these two: see the interleavings below.
      if (step === "publish") continue;
      for (const key of ["a", "b"]) {
        for (const readTs of [5n, START_TS, 11n, 12n, 40n]) {
          const txn = new TxnMust();
          let read = "";
          const { commitTs } = prewrite(txn, ["a", "b"], fields, (_, index) => {
            if (index === at) read = readAll(txn, key, readTs);
          });
          const where = `${step} (${at}) of ${key} at ${readTs}: ${read}, commit_ts ${commitTs}`;
          if (read === "none") assert.ok(commitTs > readTs, where);
          if (read === "value") assert.ok(commitTs <= readTs, where);
          seen.add(read);
        }
      }
    }
  }
  assert.equal([...seen].sort(), ["locked", "none", "value"]);
});

/** A whole read: max_ts, memory locks, snapshot. Returns what it has met. */
function readAll(txn: TxnMust, key: string, readTs: bigint): string {
  const reader = new Reader(txn, key, readTs);
  for (const step of READER) reader[step]();
  return reader.met;
}

/** A read in its three steps. */
class Reader {
  private snapshotLock: Lock | undefined;
  private blocked = false;
  private hasValue = false;

  constructor(
    private readonly txn: TxnMust,
    private readonly key: string,
    private readonly readTs: bigint,
  ) {}

  raise(): void {
    this.txn.concurrencyManager.updateMaxTs(this.readTs);
  }

  check(): void {
    const blocks = (lock: Lock): Lock | undefined =>
      lock.minCommitTs <= this.readTs ? lock : undefined;
    const checked = this.txn.concurrencyManager.readKeyCheck(encode(this.key), blocks);
    if (!checked.ok) this.blocked = true;
  }

  snapshot(): void {
    this.snapshotLock = this.txn.lockOf(this.key);
    if ((this.snapshotLock?.minCommitTs ?? this.readTs + 1n) <= this.readTs) this.blocked = true;
    for (let ts = START_TS; ts <= this.readTs; ts++) {
      if (this.txn.writeOf(this.key, ts) !== undefined) this.hasValue = true;
    }
  }

  get met(): string {
    if (this.blocked) return "locked";
    return this.hasValue ? "value" : "none";
  }
}

type ReaderStep = "raise" | "check" | "snapshot";
type WriterStep = "lock" | "compute" | "publish" | "write" | "release";
const READER: readonly ReaderStep[] = ["raise", "check", "snapshot"];
/** Steps of one turn of the event loop: nothing comes between them. */
const WRITER: readonly (readonly WriterStep[])[] = [
  ["lock", "compute", "publish"],
  ["write"],
  ["release"],
];

/** The writer of an async commit, step by step, in whatever order. */
class Writer {
  minCommitTs = 0n;
  private guard: LockGuard | undefined;

  constructor(private readonly txn: TxnMust) {}

  lock(): void {
    this.guard = this.txn.concurrencyManager.lockKey(encode("k"));
  }

  compute(): void {
    const { maxTs } = this.txn.concurrencyManager;
    this.minCommitTs = (maxTs > START_TS ? maxTs : START_TS) + 1n;
  }

  publish(): void {
    this.guard?.publish(this.record);
  }

  write(): void {
    this.txn.putLock("k", this.record);
  }

  release(): void {
    this.guard?.release();
  }

  private get record(): Lock {
    const { minCommitTs } = this;
    const fields = { primary: utf8("k"), startTs: START_TS, ttl: 0n, shortValue: utf8("new") };
    return newLock({ ...fields, type: LOCK_TYPE.put, useAsyncCommit: true, minCommitTs });
  }
}

/** Returns the first interleaving in which a read misses a commit at or below its timestamp. */
function anomaly(
  writer: readonly (readonly WriterStep[])[],
  reader: readonly ReaderStep[],
): string | undefined {
  const readTs = 40n;
  const turns = writer.length;
  for (let first = 0; first <= turns; first++) {
    for (let second = first; second <= turns; second++) {
      for (let third = second; third <= turns; third++) {
        const txn = new TxnMust();
        const read = new Reader(txn, "k", readTs);
        const write = new Writer(txn);
        for (let turn = 0; turn <= turns; turn++) {
          [first, second, third].forEach((at, i) => {
            if (at === turn) read[reader[i] as ReaderStep]();
          });
          for (const step of writer[turn] ?? []) write[step]();
        }
        if (read.met === "none" && write.minCommitTs <= readTs) {
          return `${reader} before turns ${[first, second, third]} of ${writer.join(" | ")}`;
        }
      }
    }
  }
  return undefined;
}

test("no interleaving of the two orders misses a commit", () => {
  assert.is(anomaly(WRITER, READER), undefined);
});

test("any other order of the reader misses one", () => {
  const others: readonly (readonly ReaderStep[])[] = [
    ["raise", "snapshot", "check"],
    ["check", "raise", "snapshot"],
    ["check", "snapshot", "raise"],
    ["snapshot", "raise", "check"],
    ["snapshot", "check", "raise"],
  ];
  for (const order of others) assert.type(anomaly(WRITER, order), "string", order.join());
});

test("any other order of the writer misses one", () => {
  const others: readonly (readonly (readonly WriterStep[])[])[] = [
    [["compute"], ["lock", "publish"], ["write"], ["release"]],
    [["lock", "compute"], ["publish"], ["write"], ["release"]],
    [["lock", "compute"], ["write"], ["publish"], ["release"]],
    [["lock", "compute", "publish"], ["release"], ["write"]],
    [["lock", "compute"], ["write"], ["release"]],
  ];
  for (const order of others) assert.type(anomaly(order, READER), "string", order.join(" | "));
});

test.run();
