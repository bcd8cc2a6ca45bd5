/** What was changed of the configuration while PD ran: JSON, as PD keeps its own. */
import { errorMessage, TikvError, utf8, utf8Decode } from "../../../base/index.js";
import type { Kv, KvChange } from "../kv.js";
import { keyPath } from "./key_path.js";

/** Returns the changed keys with their values; empty when nothing was changed. */
export function loadConfigChanges(kv: Kv, clusterId: bigint): Readonly<Record<string, unknown>> {
  const key = keyPath.config(clusterId);
  const bytes = kv.load(key);
  if (bytes === undefined) return {};
  try {
    return JSON.parse(utf8Decode(bytes)) as Record<string, unknown>;
  } catch (cause) {
    const text = `PD's data is damaged: ${key}: ${errorMessage(cause)}`;
    throw new TikvError("KV:Engine:Codec", text, { cause });
  }
}

export function configChange(
  clusterId: bigint,
  changes: Readonly<Record<string, unknown>>,
): KvChange {
  return { key: keyPath.config(clusterId), value: utf8(JSON.stringify(changes)) };
}
