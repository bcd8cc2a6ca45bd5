/** A store's options: the configuration's defaults are those of each folder, and every key is used. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultsOf, loadConfig, TIKV_FIELDS, type TikvConfig } from "../../../src/config/index.js";
import { replicationOptions } from "../../../src/node/replication_options.js";
import {
  raftTransportOptions,
  serverOptions,
  storageOptions,
} from "../../../src/node/tikv_options.js";
import { REPLICATION_DEFAULTS } from "../../../src/raftstore/index.js";
import { RAFT_TRANSPORT_DEFAULTS, SERVER_DEFAULTS } from "../../../src/server/index.js";
import { STORAGE_DEFAULTS } from "../../../src/storage/index.js";

const DEFAULTS: TikvConfig = defaultsOf(TIKV_FIELDS);

function config(values: Readonly<Record<string, string | bigint>>): TikvConfig {
  const flags = Object.entries(values).map(([key, value]) => ({ flag: key, key, value }));
  const loaded = loadConfig("store", undefined, flags);
  assert.ok(loaded.ok);
  return (loaded as { config: { values: TikvConfig } }).config.values;
}

test("the defaults of the configuration are those of raftstore", () => {
  assert.equal(replicationOptions(DEFAULTS), REPLICATION_DEFAULTS);
  assert.equal(replicationOptions(config({})), REPLICATION_DEFAULTS);
});

test("the defaults of the configuration are those of storage, server and transport", () => {
  assert.equal(raftTransportOptions(DEFAULTS), RAFT_TRANSPORT_DEFAULTS);
  assert.equal(serverOptions(DEFAULTS), SERVER_DEFAULTS);
  // The one key whose default is not TiKV's: 5 GiB would stop a laptop.
  const reserveSpaceBytes = DEFAULTS["storage.reserve-space"];
  assert.equal(storageOptions(DEFAULTS), { ...STORAGE_DEFAULTS, reserveSpaceBytes });
});

test("another value of a key changes exactly its option", () => {
  const seen = new Set<string>();
  for (const [key, value] of Object.entries(DEFAULTS)) {
    if (!/^(raftstore|coprocessor|server)\./.test(key) || typeof value === "string") continue;
    const other = typeof value === "boolean" ? !value : Number(value) + 1;
    if (Number.isNaN(other)) continue;
    const changed = replicationOptions({ ...DEFAULTS, [key]: other } as TikvConfig);
    for (const [option, now] of Object.entries(changed)) {
      const before = REPLICATION_DEFAULTS[option as keyof typeof REPLICATION_DEFAULTS];
      if (JSON.stringify(now) !== JSON.stringify(before)) seen.add(option);
    }
  }
  assert.equal([...seen].sort(), Object.keys(REPLICATION_DEFAULTS).sort());
});

test("what is given arrives, and what follows it", () => {
  const replication = replicationOptions(
    config({
      "raftstore.raft-base-tick-interval": "100ms",
      "raftstore.store-max-batch-size": 7n,
      "raftstore.apply-max-batch-size": 9n,
      "coprocessor.region-split-size": "1MiB",
    }),
  );
  assert.is(replication.raftBaseTickIntervalMs, 100);
  assert.is(replication.raftStoreMaxLeaderLeaseMs, 900);
  assert.is(replication.storeBatch.maxBatchSize, 7);
  assert.is(replication.applyBatch.maxBatchSize, 9);
  assert.is(replication.regionMaxKeys, 15_000);
  assert.is(replication.raftLogGcCountLimit, 768);
});

test.run();
