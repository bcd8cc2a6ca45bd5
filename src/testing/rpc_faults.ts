/**
 * Faults of single requests of clients: what is wrong with which method of which store, how often.
 * Not here: how requests are found in a stream (rpc_relay.ts).
 */
import type { Prng } from "../base/index.js";
import type { RegionErrorKind } from "./region_errors.js";

/** What happens to a request. */
export type RpcFault =
  | { readonly kind: "regionError"; readonly error: RegionErrorKind }
  | { readonly kind: "delay"; readonly ms: number }
  | { readonly kind: "drop" };

export interface RpcRule {
  /** Index of the store; undefined: all. */
  readonly store?: number | undefined;
  /** "RawGet", in a call or in BatchCommands; undefined: all. */
  readonly method?: string | undefined;
  /** Requests that it meets before it ends; undefined: until it is cleared. */
  readonly count?: number | undefined;
  /** Share of matching requests that it meets, from 0 to 1; default 1. */
  readonly fraction?: number | undefined;
  readonly fault: RpcFault;
}

/** Shares are told apart to a millionth. */
const SHARE_UNITS = 1_000_000;

interface ActiveRule {
  readonly rule: RpcRule;
  remaining: number;
}

export class RpcFaults {
  readonly #prng: Prng;
  #rules: ActiveRule[] = [];
  #hits = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Requests that a rule met so far. */
  get hits(): number {
    return this.#hits;
  }

  /** Adds a rule behind those that are there; the first that meets a request decides. */
  add(rule: RpcRule): void {
    this.#rules.push({ rule, remaining: rule.count ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#rules = [];
  }

  /** Whether any rule may meet a request to `store`. */
  concerns(store: number): boolean {
    return this.#rules.some(({ rule }) => rule.store === undefined || rule.store === store);
  }

  /** Returns what happens to one request, and counts it. */
  take(store: number, method: string): RpcFault | undefined {
    for (const active of this.#rules) {
      const { rule } = active;
      if (rule.store !== undefined && rule.store !== store) continue;
      if (rule.method !== undefined && rule.method !== method) continue;
      if (rule.fraction !== undefined && !this.chance(rule.fraction)) continue;
      this.#hits++;
      active.remaining--;
      if (active.remaining <= 0) this.#rules = this.#rules.filter((one) => one !== active);
      return rule.fault;
    }
    return undefined;
  }

  /** Returns true with probability `share`. */
  chance(share: number): boolean {
    return this.#prng.below(SHARE_UNITS) < share * SHARE_UNITS;
  }
}
