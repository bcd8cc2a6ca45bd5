/**
 * 100,000 random commands of all kinds against a naive Percolator: every answer, every side effect,
 * the locks after every command, and now and then the reads of every key at every timestamp.
 * A failure names its seed; RUTILE_TXN_MODEL_SEED runs that one alone.
 * @timeout 600
 * @seconds 24
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import {
  type ModelAnswer,
  type ModelCommand,
  run,
  scan,
} from "../../support/percolator_commands.js";
import {
  type Changes,
  MAX,
  type ModelLock,
  PercolatorModel,
  type ReadFrom,
} from "../../support/percolator_model.js";
import { CommandSource } from "../../support/txn_model_gen.js";
import { effectsOf, RealPercolator } from "../../support/txn_model_real.js";

const COMMANDS = 100_000;
const COMMANDS_PER_SEED = 250;
const FIRST_SEED = 20_260_101;
/** Commands that are being written while others run. */
const WRITES_MAX = 3;

/** Answers and records without which a run has shown too little. */
const MUST_BE_SEEN: Readonly<Record<string, readonly string[]>> = {
  prewrite: [
    ...["one phase", "async", "two phases", "fallen back", "blocked", "alreadyExist"],
    ...["assertionFailed", "invalidRequest", "lockTypeNotMatch", "maxTimestampNotSynced"],
    "writeConflict optimistic",
    "writeConflict selfRolledBack",
    "writeConflict lazyUniquenessCheck",
    "pessimisticLockNotFound lockForUpdateTsMismatch",
    "pessimisticLockNotFound lockMissingAmendFail",
    "pessimisticLockNotFound lockTsMismatch",
    "pessimisticLockNotFound nonLockKeyConflict",
  ],
  commit: ["done", "commitTsExpired", "invalidTxnTso", "txnLockNotFound"],
  batchRollback: ["done", "committed", "panic"],
  cleanup: ["done", "committed", "keyIsLocked", "panic"],
  resolveLock: ["done", "committed", "commitTsExpired", "invalidTxnTso", "txnLockNotFound"],
  checkTxnStatus: [
    ...["committed noAction", "rolledBack noAction", "uncommitted noAction", "panic"],
    ...["rolledBack lockNotExistRollback", "rolledBack ttlExpireRollback", "txnNotFound"],
    ...["pessimisticRolledBack ttlExpirePessimisticRollback", "primaryMismatch"],
    ...["lockNotExistDoNothing lockNotExistDoNothing", "uncommitted minCommitTsPushed"],
  ],
  checkSecondaryLocks: ["committed", "locked", "rolledBack"],
  txnHeartBeat: ["done", "txnNotFound"],
  acquirePessimisticLock: [
    ...["empty", "value", "existence", "lockedWithConflict", "failed", "wait", "keyIsLocked"],
    ...["alreadyExist", "invalidRequest", "lockIfExistsFailed", "lockTypeNotMatch"],
    ...["pessimisticLockRolledBack", "writeConflict pessimisticRetry"],
  ],
  pessimisticRollback: ["done"],
  rollback: ["plain", "protected"],
  put: ["alone", "overlapped"],
  delete: ["alone", "overlapped"],
  lock: ["alone", "overlapped"],
};

interface PendingWrite {
  readonly keys: readonly string[];
  apply(): void;
}

/** One history, from an empty store on. */
class History {
  private readonly prng: Prng;
  private readonly model = new PercolatorModel();
  private readonly real = new RealPercolator();
  private readonly source: CommandSource;
  private writes: PendingWrite[] = [];
  readonly log: unknown[] = [];
  /** How often which kind was answered how. */
  readonly seen = new Map<string, number>();

  constructor(seed: bigint) {
    this.prng = new Prng(seed);
    this.source = new CommandSource(this.prng, this.model);
  }

  run(commands: number): void {
    for (let done = 0; done < commands; ) {
      if (this.command(this.source.next())) done++;
      this.between();
    }
    this.flush();
    this.compareAll(10);
  }

  private between(): void {
    const { prng } = this;
    while (this.writes.length > 0 && prng.ratio(1, 2))
      this.applyOne(prng.below(this.writes.length));
    if (prng.ratio(1, 3)) this.read();
    if (prng.ratio(1, 60)) {
      this.log.push("the leader's memory is lost");
      this.real.loseMemory();
      this.model.loseMemory();
    }
    this.model.maxTsSynced = !prng.ratio(1, 50);
    this.real.maxTsSynced = this.model.maxTsSynced;
    if (prng.ratio(1, 50)) this.compareAll(1);
  }

  private applyOne(index: number): void {
    const [write] = this.writes.splice(index, 1);
    write?.apply();
  }

  private flush(keys?: readonly string[]): void {
    const isMeant = (write: PendingWrite): boolean =>
      keys === undefined || write.keys.some((key) => keys.includes(key));
    for (const write of this.writes.filter(isMeant)) write.apply();
    this.writes = this.writes.filter((write) => !isMeant(write));
  }

  /** Returns false for a command that no sane history has. */
  private command(command: ModelCommand): boolean {
    const { model, real } = this;
    const scanned = scan(model, command);
    assert.equal(real.scan(command), scanned, "the keys of a scan");
    const keys = scanned ?? keysOf(command);
    this.flush(keys);
    const before = { maxTs: model.maxTs, pending: new Map(model.pending) };
    const { answer, changes } = run(model, command, scanned);
    if (this.isInsane(changes)) {
      model.maxTs = before.maxTs;
      model.pending.clear();
      for (const [key, lock] of before.pending) model.pending.set(key, lock);
      return false;
    }
    this.log.push(command);
    const { answer: found, outcome } = real.process(command, scanned);
    assert.equal(found, told(answer), "the answer");
    const { guards, released, known } = changes;
    assert.equal(effectsOf(outcome), { guards, released, known }, "the side effects");
    assert.is(real.maxTs, model.maxTs, "max_ts");
    this.count(`${command.kind} ${nameOf(command, answer)}`);
    const inMemory = this.prng.ratio(1, 2);
    const apply = (): void => {
      changes.apply(inMemory);
      if (outcome !== undefined) real.apply(outcome, inMemory);
      for (const key of keys) assert.equal(real.lockOf(key), told(model.lockOf(key)), "the lock");
    };
    this.writes.push({ keys, apply });
    if (this.writes.length > WRITES_MAX) this.applyOne(0);
    return true;
  }

  /**
   * A timestamp oracle lets no transaction commit below what is committed on its keys, nor twice;
   * and a client that prewrites once more sends the same values, even after the commit.
   */
  private isInsane({ commits, locks }: Changes): boolean {
    const { model } = this;
    const commitsLate = commits.some(({ key, ts, startTs }) => {
      const newest = model.entries(key).find(({ type }) => type !== "rollback");
      const again = model.fateOf(key, startTs).type === "committed";
      return again || (newest !== undefined && newest.ts >= ts);
    });
    const changesMind = locks.some(({ key, lock }) => {
      const own = model.entries(key).find(({ startTs }) => startTs === lock.startTs);
      return own?.type === "put" && lock.type === "put" && own.value !== lock.value;
    });
    return commitsLate || changesMind;
  }

  private count(name: string): void {
    this.seen.set(name, (this.seen.get(name) ?? 0) + 1);
  }

  private read(): void {
    const { prng, source } = this;
    const key = prng.pick(source.keys);
    const ts = prng.ratio(1, 6) ? MAX : source.time();
    const from: ReadFrom = {
      isolation: prng.pick(["si", "si", "rc", "rcCheckTs"]),
      bypass: prng.ratio(1, 4) ? [source.startTs()] : [],
      access: prng.ratio(1, 4) ? [source.startTs()] : [],
    };
    this.log.push({ kind: "get", key, ts, ...from });
    const expected = this.model.get(key, ts, from);
    assert.equal(this.real.get(key, ts, from), told(expected), "the read");
    assert.is(this.real.maxTs, this.model.maxTs, "max_ts");
  }

  /** Records, locks, and reads of every key at every timestamp, or at `share` tenths of them. */
  private compareAll(share: number): void {
    const { model, real, source } = this;
    const times = new Set([0, MAX]);
    for (const key of source.keys) {
      const lock = model.lockOf(key);
      const stamps = model.entries(key).flatMap(({ ts, startTs }) => [ts, startTs]);
      for (const ts of [...stamps, lock?.startTs ?? 0, lock?.minCommitTs ?? 0]) {
        for (const near of [ts - 1, ts]) if (near >= 0) times.add(near);
      }
      assert.equal(real.lockOf(key), told(lock), `the lock of ${key}`);
      const records = model.records(key);
      assert.equal(real.entriesOf(key), records, `the records of ${key}`);
      for (const { type, rollback } of records) this.count(`${type} ${rollback ?? "alone"}`);
    }
    const from: ReadFrom = { isolation: "si", bypass: [], access: [] };
    for (const ts of times) {
      if (!this.prng.ratio(share, 10)) continue;
      const pairs: { key: string; read: unknown }[] = [];
      for (const key of source.keys) {
        const expected = told(model.read(key, ts, from));
        assert.equal(real.read(key, ts, from), expected, `${key} at ${ts}`);
        if (expected !== undefined) pairs.push({ key, read: expected });
      }
      assert.equal(real.scanAt(ts, from, false), pairs, `a scan at ${ts}`);
      assert.equal(real.scanAt(ts, from, true), pairs.reverse(), `a scan backward at ${ts}`);
    }
  }
}

/** What kind of answer it is: failures by their reason, results by their type. */
function nameOf(command: ModelCommand, answer: ModelAnswer): string {
  if (answer.type === "failed") {
    const { kind, reason } = answer.error;
    return reason === undefined ? kind : `${kind} ${reason}`;
  }
  if (answer.type !== "done") return answer.type;
  const result = (answer.result ?? {}) as { readonly [field: string]: unknown };
  switch (command.kind) {
    case "prewrite":
      if ((result.locks as unknown[]).length > 0) return "blocked";
      if (result.onePcCommitTs !== 0) return "one phase";
      if (result.minCommitTs !== 0) return "async";
      return command.onePc || command.secondaries !== undefined ? "fallen back" : "two phases";
    case "checkTxnStatus":
      return `${result.type} ${result.action}`;
    case "checkSecondaryLocks":
      return String(result.type);
    case "acquirePessimisticLock": {
      const last = (result.results as { readonly type: string }[]).at(-1);
      return String(last?.type);
    }
    default:
      return "done";
  }
}

/** Keys that a command holds the latches of. */
function keysOf(command: ModelCommand): readonly string[] {
  if (command.kind === "prewrite") return command.mutations.map(({ key }) => key);
  if (command.kind === "acquirePessimisticLock") return command.keys.map(({ key }) => key);
  return "keys" in command ? command.keys : [command.key];
}

/** Long values are not told with their locks; whether a lock is of 1PC is known in memory alone. */
function told<T>(value: T): T {
  if (Array.isArray(value)) return value.map(told) as T;
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).map(([name, field]) => [name, told(field)]);
  const plain = Object.fromEntries(fields) as T & Partial<ModelLock>;
  if (!("marks" in value)) return plain;
  return { ...plain, value: (plain.value ?? "").length > 255 ? "" : plain.value };
}

function text(value: unknown): string {
  return JSON.stringify(value, (_, field) => {
    if (field instanceof Map) return [...field];
    return field === MAX ? "max" : field;
  });
}

function runSeed(seed: number, commands: number): ReadonlyMap<string, number> {
  const history = new History(BigInt(seed));
  try {
    history.run(commands);
  } catch (error) {
    console.error(`RUTILE_TXN_MODEL_SEED=${seed}; the last commands of ${history.log.length}:`);
    for (const line of history.log.slice(-25)) console.error(`  ${text(line)}`);
    throw error;
  }
  return history.seen;
}

test("100,000 random commands: answers, locks, records and reads are those of the model", () => {
  const only = process.env.RUTILE_TXN_MODEL_SEED;
  if (only !== undefined) {
    runSeed(Number(only), COMMANDS_PER_SEED);
    return;
  }
  const seen = new Map<string, number>();
  for (let seed = 0; seed < COMMANDS / COMMANDS_PER_SEED; seed++) {
    for (const [name, times] of runSeed(FIRST_SEED + seed, COMMANDS_PER_SEED)) {
      seen.set(name, (seen.get(name) ?? 0) + times);
    }
  }
  const wanted = Object.entries(MUST_BE_SEEN).flatMap(([kind, names]) =>
    names.map((name) => `${kind} ${name}`),
  );
  const missing = wanted.filter((name) => !seen.has(name));
  assert.equal(missing, [], "the histories show all of this");
});

test.run();
