/**
 * A version scan in key order. Source: tikv src/storage/mvcc/reader/scanner/forward.rs. Hot path.
 */
import type { ReadPoint } from "./lock_check.js";
import { VersionFinder } from "./point_getter.js";
import { VersionWalk } from "./scanner_walk.js";
import type { ReadSource, ScanRange, VersionRow } from "./version_scan.js";
import { versioned } from "./visible.js";

/** Sorts behind every version of the key that it follows. */
const BEHIND_VERSIONS = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0);

/** Keys are encoded. See VersionScan. */
export class ForwardVersionScan extends VersionWalk {
  private readonly finder: VersionFinder;

  constructor(source: ReadSource, range: ScanRange, point: ReadPoint) {
    super(source, range, point);
    this.finder = new VersionFinder(source, point);
  }

  protected override find(key: Uint8Array): VersionRow | undefined {
    return this.finder.find(this.writes, key);
  }

  protected override leave(key: Uint8Array): void {
    this.writes.seek(versioned(key, BEHIND_VERSIONS));
  }
}
