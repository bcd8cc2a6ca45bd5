/** The keys of the transactional workloads. */
import { utf8 } from "../../../src/base/index.js";
import { keyFromRaw } from "../../../src/codec/index.js";

export const LISTS = ["list0", "list1", "list2", "list3", "list4"];
export const ACCOUNTS = ["bank0", "bank1", "bank2", "bank3", "bank4", "bank5"];
export const COUNTERS = ["fork0", "fork1", "fork2"];
export const REGISTER = "reg0";
/** Lists below and above all other keys: in two regions as soon as there are two. */
export const EDGES = ["a-list", "z-list"] as const;
/** Primaries of transactions whose clients die, below all other keys; each is written by many. */
export const ENDED = ["a-ended0", "a-ended1"] as const;

/** Returns the list, above all other keys, that such a transaction leaves locked, perhaps. */
export function leftBy(value: number): string {
  return `z-left${value}`;
}

/** All that regions are split at, in order, as regions see them. */
export const TXN_KEYS: readonly Uint8Array[] = [...ACCOUNTS, ...COUNTERS, ...LISTS, REGISTER].map(
  (key) => keyFromRaw(utf8(key)),
);
