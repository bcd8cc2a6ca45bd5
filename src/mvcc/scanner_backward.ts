/**
 * A version scan against key order. The versions of a key come oldest first: a few are collected
 * and judged from the newest, and where there are many a seek finds the newest.
 * Source: tikv src/storage/mvcc/reader/scanner/backward.rs. Hot path.
 */
import { isVersionOf, keyTs, parseWrite } from "../codec/index.js";
import { EntryCursor } from "./entry_cursor.js";
import { type ReadPoint, rcConflict } from "./lock_check.js";
import { VersionFinder } from "./point_getter.js";
import { VersionWalk } from "./scanner_walk.js";
import { type ReadSource, rowOfVersion, type ScanRange, type VersionRow } from "./version_scan.js";
import { settleVersion, type Version } from "./visible.js";

/** Versions of a key that are collected before a forward seek looks for the newest. */
const REVERSE_SEEK_BOUND = 16;

/** Keys are encoded. See VersionScan. */
export class BackwardVersionScan extends VersionWalk {
  /** For keys with many versions; opened when the first is met. */
  private forward: EntryCursor | undefined;
  private readonly finder: VersionFinder;

  constructor(source: ReadSource, range: ScanRange, point: ReadPoint) {
    super(source, range, point);
    this.finder = new VersionFinder(source, point);
  }

  override close(): void {
    super.close();
    this.forward?.close();
  }

  protected override leave(key: Uint8Array): void {
    // An encoded key sorts before its versions.
    this.writes.seek(key);
  }

  protected override find(key: Uint8Array): VersionRow | undefined {
    const { writes, source, point } = this;
    const collected: Version[] = [];
    for (; writes.valid && isVersionOf(writes.key, key); writes.next()) {
      const commitTs = keyTs(writes.key);
      if (commitTs > point.ts) {
        if (point.isolation !== "rcCheckTs") break;
        const { startTs } = parseWrite(writes.value);
        return { type: "error", key, error: rcConflict(key, point.ts, { startTs, commitTs }) };
      }
      if (collected.length === REVERSE_SEEK_BOUND) return this.finder.find(this.forwards(), key);
      collected.push({ commitTs, write: parseWrite(writes.value) });
    }
    for (let i = collected.length - 1; i >= 0; i--) {
      const settled = settleVersion(source, key, collected[i] as Version, point.ts);
      if (settled !== "older") return settled && rowOfVersion(key, settled);
    }
    return undefined;
  }

  private forwards(): EntryCursor {
    const { snapshot, statistics } = this.source;
    this.forward ??= new EntryCursor(snapshot.cursor("write", this.range), statistics.write, {
      reverse: false,
      firstBlock: 1,
    });
    return this.forward;
  }
}
