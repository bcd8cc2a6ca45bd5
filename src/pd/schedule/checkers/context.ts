/** What checkers share: the cluster, limits, counters, and where reasons for doing nothing go. */
import type { RegionInfo } from "../../core/index.js";
import type { FilterContext } from "../filters.js";
import type { ScheduleMetrics } from "../metrics.js";

export interface CheckContext extends FilterContext {
  readonly metrics: ScheduleMetrics;
  /** Notes why a region that needs something gets nothing; people ask. */
  explain(region: RegionInfo, checker: string, reason: string): void;
}
