/**
 * Transactions of one key by one phase (a prewrite with try_one_pc over BatchCommands, fresh start_ts
 * each, durable when answered) against RawPut with as many in flight, in turns on one store.
 */
import type { BenchContext, Report } from "../harness.js";
import { keysOf, type Series } from "./loads.js";
import { benchBinding, withStore } from "./processes.js";
import { ratioRounds } from "./txn_ratio.js";

const IN_FLIGHT = [
  { inFlight: 64, connections: 4 },
  { inFlight: 512, connections: 8 },
] as const;

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const options = { binding: benchBinding(), keys: keysOf(context), versions: true };
  return withStore([options], async (store) => {
    const reports: Report[] = [];
    const shapes = context.mode === "smoke" ? IN_FLIGHT.slice(0, 1) : IN_FLIGHT;
    for (const { inFlight, connections } of shapes) {
      const raw: Series = {
        name: "RawPut",
        series: `${inFlight} in flight`,
        kind: "put",
        perMessage: inFlight / connections,
        window: 1,
        connections,
      };
      const txn: Series = { ...raw, name: "1PC put", kind: "onePc" };
      reports.push(...(await ratioRounds(context, { raw, txn, isRead: false }, store)));
    }
    return reports;
  });
}
