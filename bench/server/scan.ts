/** RawScan over BatchCommands: full passes over the data, 1,000 rows a scan. */
import type { BenchContext, Report } from "../harness.js";
import { keysOf, loadRounds, type Series } from "./loads.js";
import { benchBinding, withStore } from "./processes.js";

/** Scans of a full pass, some in flight; the loader decodes none but those of the hash. */
export const SCANS: Series = {
  name: "RawScan",
  series: "1000 rows",
  kind: "scan",
  perMessage: 1,
  window: 2,
  connections: 4,
};

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const options = { binding: benchBinding(), keys: keysOf(context), compact: true };
  return [await withStore([options], (store) => loadRounds(context, SCANS, store))];
}
