/** The keys of the transactional workloads. */
import { utf8 } from "../../../src/base/index.js";
import { keyFromRaw } from "../../../src/codec/index.js";

export const LISTS = ["list0", "list1", "list2", "list3", "list4"];
export const ACCOUNTS = ["bank0", "bank1", "bank2", "bank3", "bank4", "bank5"];
export const COUNTERS = ["fork0", "fork1", "fork2"];
export const REGISTER = "reg0";

/** All of them in order, as regions see them: for splits. */
export const TXN_KEYS: readonly Uint8Array[] = [...ACCOUNTS, ...COUNTERS, ...LISTS, REGISTER].map(
  (key) => keyFromRaw(utf8(key)),
);
