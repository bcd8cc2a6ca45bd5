/** One case of the engine suite, and the short forms that the cases share. */
import { utf8, utf8Decode } from "../../src/base/index.js";
import type { CfName, Engine, Iter, IterOptions, Snapshot } from "../../src/engine/index.js";
import type { EngineHarness } from "../support/engine_harness.js";

export interface CaseContext {
  readonly harness: EngineHarness;
  readonly path: string;
  /** Open on `path`. A case that closes it may leave it closed. */
  readonly engine: Engine;
}

export interface EngineCase {
  readonly title: string;
  readonly run: (context: CaseContext) => Promise<void>;
}

export const NO_BOUNDS: IterOptions = { lower: new Uint8Array(0), upper: new Uint8Array(0) };

/** Returns snapshots plus iterators that are open. */
export function openCount(engine: Engine): number {
  const { snapshotsOpen, iteratorsOpen } = engine.stats();
  return snapshotsOpen + iteratorsOpen;
}

export type Change =
  | readonly ["put", CfName, string, string]
  | readonly ["delete", CfName, string]
  | readonly ["range", CfName, string, string];

/** Applies the changes as one batch. */
export function apply(engine: Engine, changes: readonly Change[], sync = false): Promise<void> {
  const batch = engine.newWriteBatch();
  for (const change of changes) {
    if (change[0] === "put") batch.put(change[1], utf8(change[2]), utf8(change[3]));
    else if (change[0] === "delete") batch.delete(change[1], utf8(change[2]));
    else batch.deleteRange(change[1], utf8(change[2]), utf8(change[3]));
  }
  return engine.write(batch, { sync });
}

/** Returns the value of a key as text. */
export function getText(
  reader: Pick<Engine | Snapshot, "get">,
  cf: CfName,
  key: string,
): string | undefined {
  const value = reader.get(cf, utf8(key));
  return value === undefined ? undefined : utf8Decode(value);
}

/** Returns "key=value" of the current entry, or "-" when invalid. */
export function entryText(iter: Iter): string {
  return iter.valid ? `${utf8Decode(iter.key())}=${utf8Decode(iter.value())}` : "-";
}

/** Returns bounds from text. */
export function bounds(lower: string, upper: string): IterOptions {
  return { lower: utf8(lower), upper: utf8(upper) };
}

/** Returns all entries of a CF as "key=value", forward. */
export function scanText(snapshot: Snapshot, cf: CfName, options = NO_BOUNDS): string[] {
  const iter = snapshot.iterate(cf, options);
  const found: string[] = [];
  for (let on = iter.seekToFirst(); on; on = iter.next()) found.push(entryText(iter));
  iter.close();
  return found;
}

/** Returns all entries of a CF as of now. */
export function scanNow(engine: Engine, cf: CfName): string[] {
  const snapshot = engine.snapshot();
  const found = scanText(snapshot, cf);
  snapshot.close();
  return found;
}

/** Returns the TikvError code of a rejection, or "resolved". */
export async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "resolved";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
