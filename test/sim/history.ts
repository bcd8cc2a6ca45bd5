/**
 * What clients did and saw: operations on single keys with the virtual times of call and return.
 * An operation whose outcome is unknown stays open: it may take effect at any later time, or never.
 */
import { assert } from "../../src/base/index.js";

/** A key's value, or null for none. Values that are written are unique in a run. */
export type Value = string | null;

export type Operation =
  | { readonly kind: "get" }
  | { readonly kind: "put"; readonly value: string }
  | { readonly kind: "delete" }
  | { readonly kind: "cas"; readonly expect: Value; readonly value: string };

/** What a completed operation answered: `seen` is a get's value, or a cas's previous one. */
export interface Outcome {
  readonly seen: Value;
  readonly swapped: boolean;
}

export interface Record {
  readonly id: number;
  readonly client: number;
  readonly key: string;
  readonly operation: Operation;
  readonly calledUs: number;
  /** Infinity while open. */
  returnedUs: number;
  outcome: Outcome | undefined;
}

/** The answer of an operation that sees nothing. */
export const DONE: Outcome = { seen: null, swapped: false };

/** Collects the records of a run. */
export class History {
  readonly records: Record[] = [];
  acknowledged = 0;
  private readonly acknowledgedOf = new Map<string, number>();

  call(client: number, key: string, operation: Operation, nowUs: number): Record {
    const record: Record = {
      id: this.records.length,
      client,
      key,
      operation,
      calledUs: nowUs,
      returnedUs: Number.POSITIVE_INFINITY,
      outcome: undefined,
    };
    this.records.push(record);
    return record;
  }

  complete(record: Record, outcome: Outcome, nowUs: number): void {
    assert(record.outcome === undefined, "an operation returns once");
    record.outcome = outcome;
    record.returnedUs = nowUs;
    this.acknowledged++;
    this.acknowledgedOf.set(record.key, this.acknowledgedOn(record.key) + 1);
  }

  acknowledgedOn(key: string): number {
    return this.acknowledgedOf.get(key) ?? 0;
  }

  /** Returns the records of each key, in the order of their calls. */
  byKey(): Map<string, Record[]> {
    const keys = new Map<string, Record[]>();
    for (const record of this.records) {
      const list = keys.get(record.key);
      if (list === undefined) keys.set(record.key, [record]);
      else list.push(record);
    }
    return keys;
  }
}
