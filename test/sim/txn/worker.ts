/**
 * A client that runs transactions of all workloads, one after the other: lists (list-append), bank,
 * counters (long fork, monotonic), a register (linearizability). Each is optimistic or pessimistic,
 * with and without async commit and 1PC. On simulated machines and on real ones.
 */
import type { Prng } from "../../../src/base/index.js";
import { checkLinearizability } from "../checkers/index.js";
import { DONE, History, type Record } from "../history.js";
import { exponential } from "../options.js";
import type { Frailty, SimTxn, TxnAccess, TxnChoice } from "./access.js";
import { type AppendHow, type AppendStep, FrailSteps, pause } from "./frail_steps.js";
import { TxnHistory, type TxnOperation, type TxnRecord } from "./history.js";
import { ACCOUNTS, COUNTERS, EDGES, LISTS, REGISTER } from "./keys.js";
import { checkListAppend, checkNothingLost } from "./list_append.js";
import { checkBank, checkLongFork, checkMonotonic, type SnapshotRow } from "./snapshots.js";

const BALANCE = 100;
/** Percent of what begins; it goes on beside the rest. */
const FRAIL_PERCENT = 6;

/** The clock of the machine that a client runs on. */
export interface TxnHost {
  readonly localUs: number;
  afterUs(delayUs: number, action: () => void): unknown;
}

export interface TxnWorkerDeps {
  readonly number: number;
  readonly host: TxnHost;
  readonly access: TxnAccess;
  readonly prng: Prng;
  /** Mean time between two transactions. */
  readonly thinkMeanUs: number;
  readonly shared: TxnShared;
}

/** What all clients write into. */
export class TxnShared {
  readonly lists = new TxnHistory();
  readonly register = new History();
  readonly bankRows: SnapshotRow[] = [];
  readonly counterRows: SnapshotRow[] = [];
  /** Of replicas, at timestamps of the past: they say nothing of real time. */
  readonly staleRows: SnapshotRow[] = [];
  /** Lists of clients that may have died. */
  readonly left: string[] = [];
  nextValue = 1;
  acknowledged = 0;
  hottest = 0;
  open = 0;

  /** Throws CheckFailed when snapshot isolation does not explain what clients saw. */
  check(finals: ReadonlyMap<string, readonly number[]>): void {
    checkListAppend(this.lists.records);
    checkNothingLost(this.lists.records, finals);
    checkBank(this.bankRows, ACCOUNTS.length * BALANCE);
    const counters = [...this.counterRows, ...this.staleRows];
    checkLongFork(counters);
    checkMonotonic(counters);
    checkLinearizability(this.register.byKey());
  }
}

function parseList(text: string): number[] {
  return text === "" ? [] : text.split(",").map(Number);
}

function valuesOf(texts: readonly string[]): number[] {
  return texts.map((text) => (text === "" ? 0 : Number(text)));
}

/** One machine's clients' worth of transactions, one at a time; frail programs run beside them. */
export class TxnWorker {
  private running = 0;
  private isStopping = false;
  private readonly deps: TxnWorkerDeps;
  private readonly frail: FrailSteps;

  constructor(deps: TxnWorkerDeps) {
    this.deps = deps;
    this.frail = new FrailSteps(deps, (steps, how) => this.append(steps, how));
  }

  get isIdle(): boolean {
    return this.running === 0;
  }

  start(): void {
    const { host, prng, thinkMeanUs } = this.deps;
    if (this.isStopping) return;
    host.afterUs(exponential(prng, thinkMeanUs), () => {
      if (!this.isStopping) void this.once(() => this.anything()).then(() => this.start());
    });
  }

  stop(): void {
    this.isStopping = true;
  }

  /** Runs a task; a failure of it is the task's result. */
  async once<T>(task: () => Promise<T>): Promise<T | undefined> {
    this.running++;
    try {
      return await task();
    } finally {
      this.running--;
    }
  }

  /** Puts the first balances; until it is known to be done. */
  async open(): Promise<boolean> {
    const txn = await this.begin({ isPessimistic: false });
    if (txn === undefined) return false;
    for (const account of ACCOUNTS) await txn.put(account, `${BALANCE}`);
    return (await this.end(txn)) === "committed";
  }

  async bankRead(): Promise<boolean> {
    return this.snapshotRead(ACCOUNTS, this.deps.shared.bankRows);
  }

  async counterRead(): Promise<boolean> {
    return this.snapshotRead(COUNTERS, this.deps.shared.counterRows);
  }

  /** Reads all lists in one transaction; undefined: it failed. */
  async listRead(): Promise<Map<string, number[]> | undefined> {
    const finals = new Map<string, number[]>();
    const { access, shared } = this.deps;
    const frail = access.beginFrail === undefined ? [] : [...EDGES, ...shared.left];
    const keys = [...LISTS, ...frail];
    const steps = keys.map((key) => ({ key, isRead: true }));
    const isDone = await this.append(steps, { choice: { isPessimistic: false }, finals });
    return isDone ? finals : undefined;
  }

  registerGet(): Promise<boolean> {
    return this.registerDo("get");
  }

  private anything(): Promise<boolean> {
    const { access, prng } = this.deps;
    if (access.beginFrail !== undefined && prng.below(100) < FRAIL_PERCENT) {
      void this.once(() => this.frail.anything());
    }
    const dice = prng.below(20);
    if (dice < 9) return this.randomAppend();
    if (dice < 12) return this.transfer();
    if (dice < 13) return this.bankRead();
    if (dice < 15) return this.count();
    if (dice < 16) return this.counterRead();
    if (dice < 17) return this.staleRead();
    return this.registerDo(dice < 18 ? "get" : "put");
  }

  private choice(): TxnChoice {
    const { prng } = this.deps;
    return {
      isPessimistic: prng.ratio(1, 3),
      useAsyncCommit: prng.ratio(1, 2),
      useOnePc: prng.ratio(1, 2),
    };
  }

  private async begin(
    fixed: Partial<TxnChoice> = {},
    frailty?: Frailty,
  ): Promise<SimTxn | undefined> {
    const { access } = this.deps;
    const choice = { ...this.choice(), ...fixed };
    try {
      if (frailty === undefined) return await access.begin(choice);
      return await access.beginFrail?.(choice, frailty);
    } catch {
      return undefined;
    }
  }

  /** Commits and says how it ended. */
  private async end(txn: SimTxn): Promise<TxnRecord["outcome"]> {
    const { access, shared } = this.deps;
    try {
      await txn.commit();
      shared.acknowledged++;
      return "committed";
    } catch (error) {
      if (!access.isUndetermined(error)) return "aborted";
      shared.open++;
      return "unknown";
    }
  }

  private async snapshotRead(keys: readonly string[], rows: SnapshotRow[]): Promise<boolean> {
    const { host, number, shared } = this.deps;
    const calledUs = host.localUs;
    const txn = await this.begin({ isPessimistic: false });
    if (txn === undefined) return false;
    try {
      const texts: string[] = [];
      for (const key of keys) texts.push(await txn.get(key));
      const { startTs } = txn;
      rows.push({
        ...{ client: number, startTs, calledUs },
        returnedUs: host.localUs,
        values: valuesOf(texts),
      });
      shared.acknowledged++;
      return true;
    } catch {
      return false;
    } finally {
      await txn.rollback();
    }
  }

  /** Reads all counters at a timestamp of the past, from any replicas. */
  private async staleRead(): Promise<boolean> {
    const { access, number, shared } = this.deps;
    const found = await access.staleRead?.(COUNTERS);
    if (found === undefined) return false;
    const { ts, texts } = found;
    const values = valuesOf(texts);
    const past = { calledUs: 0, returnedUs: Number.POSITIVE_INFINITY };
    shared.staleRows.push({ client: number, startTs: ts, values, ...past });
    return true;
  }

  private randomAppend(): Promise<boolean> {
    const { prng } = this.deps;
    const steps = [...Array(prng.range(1, 4)).keys()].map(() => ({
      key: prng.ratio(1, 2) ? (LISTS[0] as string) : prng.pick(LISTS),
      isRead: prng.ratio(1, 2),
    }));
    return this.append(steps, { choice: { isPessimistic: prng.ratio(1, 3) } });
  }

  private async append(steps: readonly AppendStep[], how: AppendHow): Promise<boolean> {
    const { choice, finals, frailty } = how;
    const { host, number, shared } = this.deps;
    const record = shared.lists.begin(number, host.localUs);
    const txn = await this.begin(choice, frailty);
    if (txn === undefined) {
      shared.lists.end(record, "aborted", host.localUs);
      return false;
    }
    try {
      const known = new Map<string, number[]>();
      if (choice.isPessimistic === true) await this.lockLists(txn, steps, known);
      for (const { key, isRead } of steps) {
        const list = known.get(key) ?? parseList(await txn.get(key));
        known.set(key, list);
        record.operations.push(isRead ? read(key, list) : await this.appendTo(txn, key, list));
        if (isRead) finals?.set(key, [...list]);
        if (key === LISTS[0]) shared.hottest++;
      }
      if (how.also !== undefined) await txn.put(how.also, "");
      if (how.thinkUs !== undefined) await pause(host, how.thinkUs);
    } catch {
      await txn.rollback();
      shared.lists.end(record, "aborted", host.localUs);
      return false;
    }
    const outcome = await this.end(txn);
    shared.lists.end(record, outcome, host.localUs);
    return outcome === "committed";
  }

  /** A transaction that locks all it touches sees the state in which it commits. */
  private async lockLists(
    txn: SimTxn,
    steps: readonly { readonly key: string }[],
    known: Map<string, number[]>,
  ): Promise<void> {
    const keys = [...new Set(steps.map(({ key }) => key))];
    const texts = await txn.lock(keys);
    for (const [i, key] of keys.entries()) known.set(key, parseList(texts[i] as string));
  }

  private async appendTo(txn: SimTxn, key: string, list: number[]): Promise<TxnOperation> {
    const value = this.deps.shared.nextValue++;
    list.push(value);
    await txn.put(key, list.join(","));
    return { kind: "append", key, value };
  }

  private async transfer(): Promise<boolean> {
    const { prng } = this.deps;
    const isPessimistic = prng.ratio(1, 2);
    const from = prng.pick(ACCOUNTS);
    const to = prng.pick(ACCOUNTS.filter((account) => account !== from));
    const amount = prng.range(1, 20);
    return this.update([from, to], isPessimistic, ([left, right]) => {
      if ((left as number) < amount) return undefined;
      return [(left as number) - amount, (right as number) + amount];
    });
  }

  private count(): Promise<boolean> {
    const { prng } = this.deps;
    const key = prng.pick(COUNTERS);
    return this.update([key], prng.ratio(1, 2), ([value]) => [(value as number) + 1]);
  }

  /** Reads numbers and writes others in their place; undefined from `change`: leaves them. */
  private async update(
    keys: readonly string[],
    isPessimistic: boolean,
    change: (values: readonly number[]) => readonly number[] | undefined,
  ): Promise<boolean> {
    const txn = await this.begin({ isPessimistic });
    if (txn === undefined) return false;
    try {
      const texts = isPessimistic ? await txn.lock(keys) : await this.getAll(txn, keys);
      const changed = change(valuesOf(texts));
      if (changed === undefined) {
        await txn.rollback();
        return true;
      }
      for (const [i, key] of keys.entries()) await txn.put(key, `${changed[i]}`);
    } catch {
      await txn.rollback();
      return false;
    }
    return (await this.end(txn)) === "committed";
  }

  private async getAll(txn: SimTxn, keys: readonly string[]): Promise<string[]> {
    const texts: string[] = [];
    for (const key of keys) texts.push(await txn.get(key));
    return texts;
  }

  private async registerDo(kind: "get" | "put"): Promise<boolean> {
    const { host, number, shared } = this.deps;
    const { register } = shared;
    const value = `v${register.records.length}`;
    const operation = kind === "get" ? ({ kind } as const) : ({ kind, value } as const);
    const record: Record = register.call(number, REGISTER, operation, host.localUs);
    const txn = await this.begin({ isPessimistic: false });
    if (txn === undefined) return false;
    try {
      if (kind === "put") await txn.put(REGISTER, value);
      else {
        const seen = await txn.get(REGISTER);
        register.complete(
          record,
          { seen: seen === "" ? null : seen, swapped: false },
          host.localUs,
        );
        shared.acknowledged++;
      }
    } catch {
      return false;
    } finally {
      if (kind === "get") await txn.rollback();
    }
    if (kind === "get") return true;
    const outcome = await this.end(txn);
    if (outcome === "committed") register.complete(record, DONE, host.localUs);
    return outcome === "committed";
  }
}

const read = (key: string, list: readonly number[]): TxnOperation => ({
  kind: "read",
  key,
  list: [...list],
});
