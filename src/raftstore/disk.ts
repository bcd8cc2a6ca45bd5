/**
 * How full the disk of the data directory is, and whether writes may go on. Checked at most once a
 * second: a check is a system call, and the reserve covers what is written in between.
 * Source: tikv components/server/src/common.rs (disk status), components/tikv_util/src/sys/disk.rs.
 */
import { statfsSync } from "node:fs";
import type { Clock } from "../base/index.js";

export interface DiskSpace {
  readonly capacity: number;
  readonly available: number;
}

/** Answers the space of a directory; injected so that tests can fill a disk. */
export type StatFs = (path: string) => DiskSpace;

/** Asks the operating system. Throws what `statfs` throws. */
export const realStatFs: StatFs = (path) => {
  const stat = statfsSync(path);
  return { capacity: stat.blocks * stat.bsize, available: stat.bavail * stat.bsize };
};

/** TiKV's DiskUsage. */
export type DiskUsage = "Normal" | "AlmostFull" | "AlreadyFull";

const CHECK_INTERVAL_MS = 1000;
/** What stands for the disk of a memory engine. */
const MEMORY_SPACE: DiskSpace = { capacity: 2 ** 40, available: 2 ** 40 };

export class DiskMonitor {
  private space = MEMORY_SPACE;
  private checkedAtMs = Number.NEGATIVE_INFINITY;

  /**
   * `reserveBytes` (storage.reserve-space): below half of it writes stop, below it the disk counts
   * as almost full. An empty `dataDir` has no disk.
   */
  constructor(
    private readonly options: { readonly dataDir: string; readonly reserveBytes: number },
    private readonly deps: { readonly clock: Clock; readonly statFs: StatFs },
  ) {}

  /** Returns the space of the disk as of the last second. */
  current(): DiskSpace {
    if (this.options.dataDir === "") return MEMORY_SPACE;
    const now = this.deps.clock.monotonicMs();
    if (now - this.checkedAtMs >= CHECK_INTERVAL_MS) {
      this.space = this.deps.statFs(this.options.dataDir);
      this.checkedAtMs = now;
    }
    return this.space;
  }

  /** Returns how full the disk is. After space came back it answers Normal within a second. */
  usage(): DiskUsage {
    const { available } = this.current();
    const { reserveBytes } = this.options;
    if (available <= reserveBytes / 2) return "AlreadyFull";
    return available <= reserveBytes ? "AlmostFull" : "Normal";
  }

  /**
   * Returns whether a write has to be refused. Deletes, which make room, go on until a quarter of
   * what is kept from other writes is left: the log they need has to fit.
   */
  refuses(frees: boolean): boolean {
    if (this.usage() !== "AlreadyFull") return false;
    return !frees || this.current().available <= this.options.reserveBytes / 8;
  }
}
