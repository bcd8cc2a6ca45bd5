/**
 * A data set many times larger than block cache and write buffer, 1 KiB values, compacted: random
 * gets and full scans, with the event loop's delay, since reads are synchronous. The operating
 * system may still hold the files in its page cache: this is the cost of missing ours.
 */
import type { BenchContext, Report } from "../harness.js";
import { keysOf, loadRounds, type Series } from "./loads.js";
import { benchBinding, withStore } from "./processes.js";
import { SCANS } from "./scan.js";

const MIB = 1 << 20;
const CACHE = { blockCacheBytes: 8 * MIB, writeBufferBytes: 8 * MIB };

const GETS: Series = {
  name: "cold RawGet",
  series: "16 a message",
  kind: "get",
  perMessage: 16,
  window: 4,
  connections: 4,
};

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const keys = keysOf(context);
  const options = { binding: benchBinding(), keys, valueBytes: 1024, compact: true, ...CACHE };
  return withStore([options], async (store) => [
    await loadRounds(context, GETS, store),
    await loadRounds(context, { ...GETS, series: "128 a message", perMessage: 128 }, store),
    await loadRounds(context, { ...SCANS, name: "cold RawScan" }, store),
  ]);
}
