/**
 * Random commands for the naive Percolator and the real one. A few transactions on a few keys are
 * sent commands in any order, late, twice and after they were given up; the state of the model
 * decides now and then what would be a sensible next one, so that all branches are met.
 */
import type { Prng } from "../../src/base/index.js";
import type { ModelAcquire, ModelCheckTxnStatus, ModelCommand } from "./percolator_commands.js";
import { MAX, type PercolatorModel, PHYSICAL } from "./percolator_model.js";
import type { ModelCommit, ModelMutation, ModelPrewrite } from "./percolator_prewrite.js";

interface Txn {
  readonly startTs: number;
  readonly pessimistic: boolean;
  readonly primary: string;
}

const LONG = "l".repeat(300);

export class CommandSource {
  readonly keys: readonly string[];
  /** start_ts of transactions, ascending: the first `begun` of them have begun. */
  private readonly times: readonly number[];
  private begun = 0;
  private readonly txns: Txn[];
  private values = 0;

  constructor(
    private readonly prng: Prng,
    private readonly model: PercolatorModel,
  ) {
    // Once in a while so many keys that a prewrite looks at their range first.
    const count = prng.ratio(1, 8) ? 16 : prng.range(2, 5);
    this.keys = Array.from({ length: count }, (_, i) => `k${String.fromCharCode(97 + i)}`);
    this.times = [1, 2, 3, 4].flatMap((physical) =>
      Array.from({ length: 12 }, (_, i) => physical * PHYSICAL + i * 3 + prng.below(2)),
    );
    this.txns = Array.from({ length: prng.range(3, 8) }, () => this.begin());
  }

  private begin(): Txn {
    const { prng } = this;
    const startTs = this.times[this.begun++] as number;
    return { startTs, pessimistic: prng.ratio(1, 2), primary: prng.pick(this.keys) };
  }

  /** Any timestamp near those of the transactions. */
  time(): number {
    const { prng } = this;
    if (prng.ratio(1, 6)) return this.model.maxTs + prng.below(3);
    if (prng.ratio(1, 8)) return prng.pick(this.times) + prng.below(3);
    return prng.pick(this.txns).startTs + prng.below(9);
  }

  /** The time of a client's clock, which may be far ahead of its transactions. */
  private now(): number {
    const { prng } = this;
    if (prng.ratio(1, 6)) return prng.pick([0, MAX]);
    return this.time() + (prng.ratio(1, 3) ? prng.below(4) * PHYSICAL : 0);
  }

  startTs(): number {
    return this.prng.pick(this.txns).startTs;
  }

  next(): ModelCommand {
    const { prng } = this;
    // The others go on, a new one begins.
    if (prng.ratio(1, 8) && this.begun < this.times.length) {
      this.txns[prng.below(this.txns.length)] = this.begin();
    }
    const choice = prng.below(24);
    const txn = choice < 12 ? prng.pick(this.txns) : this.holder();
    const { startTs } = txn;
    if (choice < 6) return this.prewrite(txn, choice < 3);
    if (choice < 9) return this.acquire(txn);
    if (choice < 10) return this.commit(txn);
    if (choice < 11) return this.checkTxnStatus(txn);
    if (choice < 12) return this.other(txn, startTs);
    if (choice < 18) return this.commit(txn);
    if (choice < 20) return this.checkTxnStatus(txn);
    if (choice < 22) return this.resolve();
    return this.other(txn, startTs);
  }

  /** A transaction that holds locks, its client gone perhaps. */
  private holder(): Txn {
    const { prng, model } = this;
    const locked = model.lockedKeys(() => true);
    const lock = locked.length > 0 ? model.lockOf(prng.pick(locked)) : undefined;
    if (lock === undefined || prng.ratio(1, 8)) return prng.pick(this.txns);
    const { startTs, primary, forUpdateTs } = lock;
    return { startTs, primary, pessimistic: forUpdateTs !== 0 };
  }

  private other(txn: Txn, startTs: number): ModelCommand {
    const { prng } = this;
    switch (prng.below(5)) {
      case 0: {
        const keys = prng.ratio(1, 3) ? [] : this.someKeys();
        return { kind: "pessimisticRollback", keys, startTs, forUpdateTs: this.time() };
      }
      case 1:
        return { kind: "cleanup", key: this.key(txn), startTs, currentTs: this.now() };
      case 2:
        return { kind: "batchRollback", keys: this.lockedOr(txn), startTs };
      case 3: {
        const keys = prng.ratio(1, 2) ? this.lockedOr(txn) : this.someKeys();
        return { kind: "checkSecondaryLocks", keys, startTs };
      }
      default:
        return { kind: "txnHeartBeat", key: this.key(txn), startTs, adviseTtl: prng.below(5) };
    }
  }

  private key(txn: Txn): string {
    const locked = this.model.lockedKeys(({ startTs }) => startTs === txn.startTs);
    if (locked.length > 0 && this.prng.ratio(2, 3)) return this.prng.pick(locked);
    return this.prng.ratio(1, 2) ? txn.primary : this.prng.pick(this.keys);
  }

  private someKeys(most = 3): string[] {
    const keys = [...this.keys];
    this.prng.shuffle(keys);
    return keys.slice(0, this.prng.range(1, most + 1));
  }

  private lockedOr(txn: Txn): string[] {
    const locked = this.model.lockedKeys(({ startTs }) => startTs === txn.startTs);
    if (locked.length === 0 || this.prng.ratio(1, 4)) return this.someKeys();
    return this.prng.ratio(1, 2) ? locked : [this.prng.pick(locked)];
  }

  private primary({ primary }: Txn): string {
    return this.prng.ratio(9, 10) ? primary : this.prng.pick(this.keys);
  }

  private forUpdateTs({ startTs }: Txn): number {
    return Math.max(startTs, this.prng.ratio(1, 3) ? startTs : this.time());
  }

  /** `simple`: one that is likely to succeed. */
  private prewrite(txn: Txn, simple: boolean): ModelPrewrite {
    const { prng, model } = this;
    const { startTs } = txn;
    const wide = this.keys.length > 12 && prng.ratio(1, 2);
    const keys = wide ? [...this.keys] : this.someKeys();
    if (!simple && prng.ratio(1, 30)) keys.push(keys[0] as string);
    const pessimistic = txn.pessimistic !== (!simple && prng.ratio(1, 20));
    const mutations = keys.map((key) => this.mutation(txn, key, pessimistic, simple));
    const tail = simple ? 0 : 1;
    return {
      kind: "prewrite",
      mutations,
      primary: this.primary(txn),
      startTs,
      ttl: prng.below(3),
      forUpdateTs: pessimistic ? this.forUpdateTs(txn) : 0,
      txnSize: prng.below(3),
      minCommitTs: prng.ratio(1, 2) ? 0 : startTs + prng.below(4),
      maxCommitTs: prng.ratio(tail, 5) ? model.maxTs + prng.below(4) : 0,
      skipConstraintCheck: prng.ratio(tail, 10),
      isRetry: prng.ratio(tail, 5),
      secondaries: prng.ratio(2, 5) ? this.someKeys() : undefined,
      onePc: prng.ratio(1, 5),
      assertionLevel: prng.pick(["off", "fast", "strict"]),
    };
  }

  private mutation(
    { startTs }: Txn,
    key: string,
    pessimistic: boolean,
    simple: boolean,
  ): ModelMutation {
    const { prng, model } = this;
    const ops = simple
      ? (["put", "put", "delete", "lock", "lock"] as const)
      : (["put", "put", "delete", "lock", "insert", "checkNotExists"] as const);
    const op = prng.pick(ops);
    const hasValue = op === "put" || op === "insert";
    const value = prng.ratio(1, 8) ? `${LONG}${this.values++}` : `v${this.values++}`;
    const mine = model.lockOf(key)?.startTs === startTs ? model.lockOf(key) : undefined;
    const held = mine?.type === "pessimistic";
    const guess = prng.ratio(1, 2) ? this.time() : (mine?.forUpdateTs ?? 0);
    const actions = ["skipPessimisticCheck", "doPessimisticCheck", "doConstraintCheck"] as const;
    const sensible = held ? "doPessimisticCheck" : prng.pick([actions[0], actions[2]]);
    return {
      op: op === "checkNotExists" && pessimistic && prng.ratio(9, 10) ? "lock" : op,
      key,
      value: hasValue ? value : "",
      assertion: simple ? "none" : prng.pick(["none", "none", "none", "exist", "notExist"]),
      action: prng.ratio(3, 4) ? sensible : prng.pick(actions),
      expectedForUpdateTs: prng.ratio(1, 8) ? guess : 0,
    };
  }

  private commit(txn: Txn): ModelCommit {
    const keys = this.lockedOr(txn);
    return { kind: "commit", keys, startTs: txn.startTs, commitTs: this.commitTs(txn) };
  }

  /** That of a key that is committed, or one that its locks allow, or any. */
  private commitTs({ startTs }: Txn): number {
    const { prng, model } = this;
    if (prng.ratio(1, 8)) return this.time();
    let least = startTs;
    for (const key of this.keys) {
      const fate = model.fateOf(key, startTs);
      if (fate.type === "committed") return fate.commitTs;
      const lock = model.lockOf(key);
      if (lock?.startTs !== startTs) continue;
      least = Math.max(least, lock.minCommitTs, model.entries(key)[0]?.ts ?? 0);
    }
    return least + prng.below(3);
  }

  private acquire(txn: Txn): ModelAcquire {
    const { prng } = this;
    const keys = this.someKeys();
    const allowConflict = prng.ratio(1, 3);
    if (allowConflict && prng.ratio(19, 20)) keys.length = 1;
    const lockOnlyIfExists = prng.ratio(1, 6);
    return {
      kind: "acquirePessimisticLock",
      keys: keys.map((key) => ({ key, shouldNotExist: prng.ratio(1, 6) })),
      primary: this.primary(txn),
      startTs: txn.startTs,
      ttl: prng.below(3),
      forUpdateTs: this.forUpdateTs(txn),
      minCommitTs: prng.ratio(1, 2) ? 0 : txn.startTs + prng.below(4),
      waits: prng.ratio(1, 2),
      returnValues: prng.ratio(1, 3) || (lockOnlyIfExists && prng.ratio(4, 5)),
      checkExistence: prng.ratio(1, 3),
      lockOnlyIfExists,
      allowConflict,
    };
  }

  private checkTxnStatus(txn: Txn): ModelCheckTxnStatus {
    const { prng } = this;
    return {
      kind: "checkTxnStatus",
      key: this.key(txn),
      startTs: txn.startTs,
      callerStartTs: prng.ratio(1, 6) ? prng.pick([0, MAX]) : this.time(),
      currentTs: this.now(),
      rollbackIfNotExist: prng.ratio(2, 3),
      forceSyncCommit: prng.ratio(1, 3),
      resolvingPessimistic: prng.ratio(1, 3),
      verifyIsPrimary: prng.ratio(1, 2),
    };
  }

  private resolve(): ModelCommand {
    const { prng } = this;
    const isLite = prng.ratio(1, 2);
    const some = Array.from({ length: isLite ? 1 : prng.range(1, 4) }, () => this.holder());
    const fates = some.map(
      (txn) => [txn.startTs, prng.ratio(1, 3) ? 0 : this.commitTs(txn)] as const,
    );
    const keys = isLite ? this.lockedOr(some[0] as Txn) : [];
    return { kind: "resolveLock", txns: new Map(fates), keys };
  }
}
