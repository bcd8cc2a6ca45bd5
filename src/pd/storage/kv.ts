/**
 * PD's metadata as a small key-value store with PD's paths as keys. One implementation now, on an
 * Engine; etcd is the next. Reads are synchronous, every write is synced before it resolves.
 */
import { EMPTY_BYTES, utf8, utf8Decode } from "../../base/index.js";
import type { Engine } from "../../engine/index.js";

/** A change of one key; `undefined` removes it. */
export interface KvChange {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

export interface Kv {
  load(key: string): Uint8Array | undefined;
  /** Calls `visit` for each key that starts with `prefix`, in order. */
  loadPrefix(prefix: string, visit: (key: string, value: Uint8Array) => void): void;
  /** Applies all changes or none; resolves when they are on disk. Takes effect in call order. */
  save(changes: readonly KvChange[]): Promise<void>;
}

/** Entries read per step of a prefix scan, and their bytes. */
const SCAN_ITEMS = 1024;
const SCAN_BYTES = 4 * 1024 * 1024;

/** Returns the store on `engine`, in its default CF. The caller closes the engine. */
export function engineKv(engine: Engine): Kv {
  return {
    load: (key) => engine.get("default", utf8(key)),
    loadPrefix: (prefix, visit) => {
      const lower = utf8(prefix);
      // Paths are ASCII, so 0xff ends every prefix.
      const upper = Uint8Array.of(...lower, 0xff);
      const snapshot = engine.snapshot();
      const iter = snapshot.iterate("default", { lower, upper });
      try {
        iter.seekToFirst();
        while (iter.valid) {
          const { keys, values } = iter.take(SCAN_ITEMS, SCAN_BYTES);
          keys.forEach((key, at) => {
            visit(utf8Decode(key), values[at] ?? EMPTY_BYTES);
          });
        }
      } finally {
        iter.close();
        snapshot.close();
      }
    },
    save: (changes) => {
      const batch = engine.newWriteBatch();
      for (const { key, value } of changes) {
        if (value === undefined) batch.delete("default", utf8(key));
        else batch.put("default", utf8(key), value);
      }
      return engine.write(batch, { sync: true });
    },
  };
}
