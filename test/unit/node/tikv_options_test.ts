/** A store's options: the configuration's defaults are raftstore's, and every key is used. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultsOf, TIKV_FIELDS, type TikvConfig } from "../../../src/config/index.js";
import { replicationOptions } from "../../../src/node/replication_options.js";
import { REPLICATION_DEFAULTS } from "../../../src/raftstore/index.js";

const DEFAULTS: TikvConfig = defaultsOf(TIKV_FIELDS);

test("the defaults of the configuration are those of raftstore", () => {
  assert.equal(replicationOptions(DEFAULTS), REPLICATION_DEFAULTS);
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

test.run();
