/** KvScan over BatchCommands: full passes over the versions, 1,000 rows a scan, against RawScan. */
import type { BenchContext, Report } from "../harness.js";
import { keysOf } from "./loads.js";
import { benchBinding, withStore } from "./processes.js";
import { SCANS } from "./scan.js";
import { ratioRounds } from "./txn_ratio.js";

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const options = {
    binding: benchBinding(),
    keys: keysOf(context),
    versions: true,
    compact: true,
  };
  const txn = { ...SCANS, name: "KvScan", kind: "txnScan" as const };
  return withStore([options], (store) =>
    ratioRounds(context, { raw: SCANS, txn, isRead: true }, store),
  );
}
