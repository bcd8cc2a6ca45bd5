/** Closed sets of names that configuration shares with the folders it configures. */

/** storage.api-version. */
export const API_VERSIONS = [1, 2] as const;

/** engine.binding; "auto" chooses at start. */
export const ENGINE_BINDINGS = ["auto", "librocksdb", "rocksdb", "memory"] as const;
