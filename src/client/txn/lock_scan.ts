/** Walks over the locks of a range, page by page, in key order, through all of its regions. */
import { compareBytes, nextKey } from "../../base/index.js";
import { fromBigInt } from "../../pb/index.js";
import type { Backoffer } from "../backoff.js";
import type { WireRange } from "../key_mode.js";
import type { CachedRegion } from "../region_cache.js";
import { RELOAD } from "../region_request.js";
import type { TxnContext } from "./context.js";
import { errorOf } from "./key_error.js";
import { type LockView, lockView } from "./lock_view.js";

/** Locks that one request asks for. */
const SCAN_LIMIT = 256;

export interface LockPage {
  /** Keys are those of requests. */
  readonly locks: readonly LockView[];
  /** Whether nothing of the region, as far as it is in the range, comes behind them. */
  readonly endsRegion: boolean;
}

/**
 * Yields the locks of transactions that began at or before `maxTs`. Each page is as of when it is
 * asked for. Throws ClientError.
 */
export async function* lockPages(
  context: TxnContext,
  range: WireRange,
  maxTs: bigint,
): AsyncGenerator<LockPage> {
  let { start } = range;
  let op = context.newOp();
  for (;;) {
    const region = await context.parts.locator.locate(start, op);
    const isLast = region.endKey.length === 0 || reaches(region.endKey, range.end);
    const page = { start, end: isLast ? range.end : region.endKey };
    const locks = await scanPage(context, region, page, maxTs, op);
    if (locks === RELOAD) continue;
    const last = locks.at(-1);
    const next = last !== undefined && locks.length >= SCAN_LIMIT ? nextKey(last.key) : undefined;
    const endsRegion = next === undefined || reaches(next, page.end);
    yield { locks, endsRegion };
    if (endsRegion && isLast) return;
    start = endsRegion ? region.endKey : next;
    op = context.newOp();
  }
}

/** Whether a key is at or behind the end of a range; an empty end is never reached. */
function reaches(key: Uint8Array, end: Uint8Array): boolean {
  return end.length > 0 && compareBytes(key, end) >= 0;
}

async function scanPage(
  { parts }: TxnContext,
  region: CachedRegion,
  { start, end }: WireRange,
  maxTs: bigint,
  op: Backoffer,
): Promise<LockView[] | typeof RELOAD> {
  const maxVersion = fromBigInt(maxTs);
  const body = { maxVersion, startKey: start, endKey: end, limit: SCAN_LIMIT };
  const scanned = await parts.sender.send(region, "ScanLock", body, op);
  if (scanned === RELOAD) return RELOAD;
  const { error } = scanned;
  if (error === null) return scanned.locks.map(lockView);
  if (error.locked === null) throw errorOf(error, maxTs, parts.mode);
  // A lock that is in memory only for the moment: it is stored, or gone, in a while.
  await op.wait("maxTsNotSynced", "a lock that is not stored yet");
  return RELOAD;
}
