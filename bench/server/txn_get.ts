/**
 * Snapshot reads over BatchCommands against RawGet of the same keys and values on the same store, in
 * turns: KvGet with 128, 16 and 1 commands a message, KvBatchGet of 128 keys.
 */
import type { BenchContext, Report } from "../harness.js";
import type { LoadKind } from "./job.js";
import { keysOf, type Series } from "./loads.js";
import { benchBinding, withStore } from "./processes.js";
import { type Against, ratioRounds } from "./txn_ratio.js";

const SHAPES = [
  { perMessage: 128, window: 4 },
  { perMessage: 16, window: 8 },
  { perMessage: 1, window: 64 },
] as const;

function series(
  name: string,
  kind: LoadKind,
  shape: Pick<Series, "perMessage" | "window"> & Partial<Series>,
): Series {
  const { perMessage, perCommand = 1 } = shape;
  const label = perCommand === 1 ? `${perMessage} a message` : `${perCommand} keys`;
  return { ...{ name, kind, series: label, connections: 4 }, ...shape };
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const options = { binding: benchBinding(), keys: keysOf(context), versions: true };
  const shapes = context.mode === "smoke" ? SHAPES.slice(0, 1) : SHAPES;
  const loads: Against[] = shapes.map((shape) => ({
    raw: series("RawGet", "get", shape),
    txn: series("KvGet", "txnGet", shape),
    isRead: true,
  }));
  loads.push({
    raw: series("RawGet", "get", SHAPES[0]),
    txn: series("KvBatchGet", "txnBatchGet", { perMessage: 1, perCommand: 128, window: 4 }),
    isRead: true,
  });
  return withStore([options], async (store) => {
    const reports: Report[] = [];
    for (const against of loads) reports.push(...(await ratioRounds(context, against, store)));
    return reports;
  });
}
