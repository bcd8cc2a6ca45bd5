/**
 * What transactions did and saw. Each key holds a list of numbers to which transactions append;
 * every appended number is unique in a run, so a list tells who wrote each part of it, in which order
 * (the list-append workload of Elle). Workloads with other shapes have their own records.
 */
import { assert } from "../../../src/base/index.js";

export type TxnOperation =
  | { readonly kind: "append"; readonly key: string; readonly value: number }
  /** `list` undefined: the transaction did not learn what it read. */
  | { readonly kind: "read"; readonly key: string; readonly list: readonly number[] | undefined };

/** "unknown": the client never learned; it may have committed, or may commit at any later time. */
export type TxnOutcome = "committed" | "aborted" | "unknown";

export interface TxnRecord {
  readonly id: number;
  readonly client: number;
  /** In the order in which the transaction did them. */
  readonly operations: TxnOperation[];
  readonly calledUs: number;
  /** Infinity while open or unknown. */
  returnedUs: number;
  outcome: TxnOutcome;
}

/** Collects the transactions of a run. */
export class TxnHistory {
  readonly records: TxnRecord[] = [];
  committed = 0;

  begin(client: number, nowUs: number): TxnRecord {
    const record: TxnRecord = {
      id: this.records.length,
      client,
      operations: [],
      calledUs: nowUs,
      returnedUs: Number.POSITIVE_INFINITY,
      outcome: "unknown",
    };
    this.records.push(record);
    return record;
  }

  end(record: TxnRecord, outcome: TxnOutcome, nowUs: number): void {
    assert(record.returnedUs === Number.POSITIVE_INFINITY, "a transaction ends once");
    record.outcome = outcome;
    if (outcome === "unknown") return;
    record.returnedUs = nowUs;
    if (outcome === "committed") this.committed++;
  }
}
