/**
 * What a transaction has written so far, by key: it reads its own writes through this, and commit
 * turns it into mutations. Pure. Keys are those of requests.
 *
 * Invariant: an entry whose key must be absent (`mustBeAbsent`) is checked by the store at commit.
 */
import { compareBytes, keyInRange } from "../../base/index.js";
import { mapKey } from "../arguments.js";
import type { WireRange } from "../key_mode.js";

/** "lock" changes nothing: it makes commit fail if others change the key. */
export type WriteKind = "put" | "delete" | "lock";

export interface OwnWrite {
  readonly key: Uint8Array;
  readonly kind: WriteKind;
  /** Of a put; empty otherwise. */
  readonly value: Uint8Array;
  /** Whether commit has to find the key absent, as before an insert. */
  readonly mustBeAbsent: boolean;
  /** Whether the key was found absent when it was locked. */
  readonly wasAbsent: boolean;
}

/** A write that reads have to see; `value` undefined: deleted. */
export interface OwnPair {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

const NO_VALUE = new Uint8Array(0);

export class UnionStore {
  readonly #writes = new Map<string, OwnWrite>();
  /** Map keys in order; made by the first scan, kept up from then on. */
  #order: string[] | undefined;
  #bytes = 0;
  #changes = 0;

  /** Bytes of keys and values. */
  get sizeBytes(): number {
    return this.#bytes;
  }

  /** Keys, those that are only locked included. */
  get size(): number {
    return this.#writes.size;
  }

  /** Whether a commit would change data. */
  get isReadOnly(): boolean {
    return this.#changes === 0;
  }

  /** Returns what reads of `key` have to see, undefined if the transaction has not written it. */
  get(key: Uint8Array): OwnPair | undefined {
    const write = this.#writes.get(mapKey(key));
    return write === undefined || write.kind === "lock" ? undefined : ownPair(write);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#set(key, "put", value, this.#flags(key));
  }

  delete(key: Uint8Array): void {
    this.#set(key, "delete", NO_VALUE, this.#flags(key));
  }

  /**
   * Writes a pair whose key must be absent. `wasAbsent`: a lock has shown that it is. Returns false,
   * and writes nothing, if the transaction itself has put the key.
   */
  insert(key: Uint8Array, value: Uint8Array, wasAbsent: boolean): boolean {
    const write = this.#writes.get(mapKey(key));
    if (write?.kind === "put") return false;
    const isDeleted = write?.kind === "delete";
    const flags = isDeleted ? write : { mustBeAbsent: !wasAbsent, wasAbsent };
    this.#set(key, "put", value, flags);
    return true;
  }

  /** Notes a key that others must not change before the commit; a write of it says so already. */
  lock(key: Uint8Array): void {
    if (!this.#writes.has(mapKey(key))) this.#set(key, "lock", NO_VALUE, UNKNOWN);
  }

  /** Returns the puts and deletes in a range, in key order or against it. */
  range(range: WireRange, reverse: boolean): OwnPair[] {
    const order = this.#sorted();
    const found: OwnPair[] = [];
    for (let i = indexOf(order, mapKey(range.start)); i < order.length; i++) {
      const write = this.#writes.get(order[i] as string) as OwnWrite;
      if (!keyInRange(write.key, range.start, range.end)) break;
      if (write.kind !== "lock") found.push(ownPair(write));
    }
    return reverse ? found.reverse() : found;
  }

  /** Returns all entries in key order. */
  writes(): OwnWrite[] {
    return [...this.#writes.values()].sort((a, b) => compareBytes(a.key, b.key));
  }

  #flags(key: Uint8Array): Pick<OwnWrite, "mustBeAbsent" | "wasAbsent"> {
    return this.#writes.get(mapKey(key)) ?? UNKNOWN;
  }

  #set(
    key: Uint8Array,
    kind: WriteKind,
    value: Uint8Array,
    { mustBeAbsent, wasAbsent }: Pick<OwnWrite, "mustBeAbsent" | "wasAbsent">,
  ): void {
    const name = mapKey(key);
    const before = this.#writes.get(name);
    const own = before?.key ?? new Uint8Array(key);
    const copy = value.length === 0 ? NO_VALUE : new Uint8Array(value);
    this.#writes.set(name, { key: own, kind, value: copy, mustBeAbsent, wasAbsent });
    this.#bytes += copy.length - (before === undefined ? -own.length : before.value.length);
    this.#changes +=
      (kind === "lock" ? 0 : 1) - (before === undefined || before.kind === "lock" ? 0 : 1);
    if (before === undefined && this.#order !== undefined) {
      this.#order.splice(indexOf(this.#order, name), 0, name);
    }
  }

  #sorted(): string[] {
    this.#order ??= [...this.#writes.keys()].sort();
    return this.#order;
  }
}

const UNKNOWN = { mustBeAbsent: false, wasAbsent: false } as const;

function ownPair({ key, kind, value }: OwnWrite): OwnPair {
  return { key, value: kind === "put" ? value : undefined };
}

/** Index of the first text that is not below `name`. */
function indexOf(order: readonly string[], name: string): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((order[middle] as string) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Compares the heads of two lists; one that has ended comes last, which `sign` turns round. */
function compareHeads(a: OwnPair | undefined, b: OwnPair | undefined, sign: number): number {
  if (a === undefined) return sign;
  return b === undefined ? -sign : compareBytes(a.key, b.key);
}

/**
 * Yields the pairs of `stored` with the transaction's own writes in their places. Both are in the
 * order of the scan.
 */
export async function* mergeOwn(
  stored: AsyncIterator<OwnPair, unknown>,
  own: readonly OwnPair[],
  reverse: boolean,
): AsyncGenerator<{ readonly key: Uint8Array; readonly value: Uint8Array }, void> {
  const sign = reverse ? -1 : 1;
  let at = 0;
  try {
    let next = await stored.next();
    while (next.done !== true || at < own.length) {
      const mine = own[at];
      const theirs = next.done === true ? undefined : next.value;
      const order = sign * compareHeads(mine, theirs, sign);
      const chosen = order <= 0 ? mine : theirs;
      if (order <= 0) at++;
      if (chosen?.value !== undefined) yield { key: chosen.key, value: chosen.value };
      if (order >= 0) next = await stored.next();
    }
  } finally {
    await stored.return?.();
  }
}
