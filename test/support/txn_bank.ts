/**
 * A bank on transactions: transfers between accounts by many workers, while auditors add up snapshots.
 * Transfers whose outcome is not known count either way.
 */
import { utf8Decode } from "../../src/base/index.js";
import {
  type BeginOptions,
  ClientError,
  CommitUndeterminedError,
  type Transaction,
  type TxnClient,
} from "../../src/client/index.js";

export interface BankOptions {
  readonly accounts: number;
  readonly balance: number;
  /** In front of the names of accounts. */
  readonly prefix: string;
}

export interface BankReport {
  committed: number;
  /** Transfers that were given up after conflicts. */
  refused: number;
  undetermined: number;
  audits: number;
}

export class Bank {
  readonly report: BankReport = { committed: 0, refused: 0, undetermined: 0, audits: 0 };
  readonly #options: BankOptions;
  /** What transfers that were committed have changed. */
  readonly #changes: number[];

  constructor(options: BankOptions) {
    this.#options = options;
    this.#changes = Array.from({ length: options.accounts }, () => 0);
  }

  get total(): number {
    return this.#options.accounts * this.#options.balance;
  }

  account(index: number): string {
    return `${this.#options.prefix}${String(index).padStart(2, "0")}`;
  }

  /** Opens all accounts. */
  async open(client: TxnClient): Promise<void> {
    await client.transaction(async (txn) => {
      for (let i = 0; i < this.#options.accounts; i++) {
        await txn.insert(this.account(i), `${this.#options.balance}`);
      }
    });
  }

  /** Moves money `times` times, between accounts that `pick` chooses (a number below its argument). */
  async work(
    client: TxnClient,
    times: number,
    mode: BeginOptions,
    pick: (below: number) => number,
  ): Promise<void> {
    const { accounts } = this.#options;
    for (let i = 0; i < times; i++) {
      const from = pick(accounts);
      const to = (from + 1 + pick(accounts - 1)) % accounts;
      const amount = 1 + pick(5);
      try {
        await client.transaction((txn) => this.#transfer(txn, from, to, amount), {
          ...mode,
          retry: 30,
        });
        this.report.committed++;
        this.#changes[from] = (this.#changes[from] as number) - amount;
        this.#changes[to] = (this.#changes[to] as number) + amount;
      } catch (error) {
        if (error instanceof CommitUndeterminedError) this.report.undetermined++;
        else if (error instanceof ClientError) this.report.refused++;
        else throw error;
      }
    }
  }

  /** Reads all accounts, in one of three ways; throws if money was made or lost. */
  async audit(client: TxnClient): Promise<number[]> {
    const { accounts, prefix } = this.#options;
    const snapshot = await client.snapshot();
    const names = Array.from({ length: accounts }, (_, i) => this.account(i));
    const way = this.report.audits++ % 3;
    const found = new Map<string, number>();
    if (way === 0) {
      const values = await snapshot.batchGet(names);
      for (const [i, value] of values.entries()) found.set(names[i] as string, numberOf(value));
    } else {
      const range = { start: prefix, end: `${prefix}~`, pageSize: 3 };
      const pairs = way === 1 ? snapshot.scan(range) : snapshot.reverseScan(range);
      for await (const { key, value } of pairs) found.set(utf8Decode(key), numberOf(value));
    }
    const sum = [...found.values()].reduce((a, b) => a + b, 0);
    if (found.size !== accounts || sum !== this.total) {
      const text = [...found].map(([name, value]) => `${name}=${value}`).join(" ");
      throw new Error(`at ${snapshot.ts} the sum is ${sum}, not ${this.total}: ${text}`);
    }
    return names.map((name) => found.get(name) as number);
  }

  /** Returns what each account must hold if nothing was undetermined. */
  expected(): number[] {
    return this.#changes.map((change) => this.#options.balance + change);
  }

  async #transfer(txn: Transaction, from: number, to: number, amount: number): Promise<void> {
    // In the order of the names, or pessimistic transfers would end in deadlocks too often.
    const [first, second] = from < to ? [from, to] : [to, from];
    const read = async (index: number): Promise<number> => {
      const name = this.account(index);
      return numberOf(txn.isPessimistic ? await txn.getForUpdate(name) : await txn.get(name));
    };
    const balances = new Map([
      [first, await read(first)],
      [second, await read(second)],
    ]);
    await txn.put(this.account(from), `${(balances.get(from) as number) - amount}`);
    await txn.put(this.account(to), `${(balances.get(to) as number) + amount}`);
  }
}

function numberOf(value: Uint8Array | undefined): number {
  if (value === undefined) throw new Error("an account is missing");
  return Number(utf8Decode(value));
}
