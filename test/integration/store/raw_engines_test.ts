/**
 * The raw model on the engines that write to disk, reopened half way, and scans over several slices.
 * @variants ENGINE=rocksdb,librocksdb
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { librocksdbPresent } from "../../../src/engine/index.js";
import { API_VERSION } from "../../../src/storage/index.js";
import { FakeClock } from "../../support/fake_clock.js";
import { FakePd } from "../../support/fake_pd.js";
import { fixtureEngine } from "../../support/make_store_fixture.js";
import { anyCommand, ModelRun } from "../../support/raw_model.js";
import { requires } from "../../support/requires.js";
import { startFixture } from "../../support/store_fixture.js";
import { tmpDir } from "../../support/tmp.js";

const COMMANDS = 80;
const KEYS = 1000;
const binding = process.env.ENGINE === "librocksdb" ? "librocksdb" : "rocksdb";
const present = binding === "rocksdb" || requires("librocksdb", librocksdbPresent);

for (const [name, version] of present ? Object.entries(API_VERSION) : []) {
  test(`${binding}, ${name}: random commands agree with the model, also after a restart`, async () => {
    const path = tmpDir("raw");
    const pd = new FakePd();
    const clock = new FakeClock();
    const storage = { apiVersion: version, reserveSpaceBytes: 0 };
    const commands = fc.sample(anyCommand, { numRuns: 2 * COMMANDS, seed: 4 });
    let run: ModelRun | undefined;
    for (const part of [commands.slice(0, COMMANDS), commands.slice(COMMANDS)]) {
      const engine = await fixtureEngine(path, binding);
      const fixture = await startFixture({ engine, pd, clock, storage });
      run = run === undefined ? new ModelRun(fixture, clock, version) : run.on(fixture);
      for (const command of part) await run.step(command);
      await fixture.store.stop();
      await engine.close();
    }
  });
}

if (present) {
  test(`${binding}: more scans at once than may hold a snapshot`, async () => {
    const engine = await fixtureEngine(tmpDir("raw"), binding);
    const { store, ctx } = await startFixture({ engine });
    const pairs = Array.from({ length: KEYS }, (_, i) => ({
      key: utf8(`k${String(i).padStart(5, "0")}`),
      value: utf8(`v${i}`),
      ttl: 0n,
    }));
    assert.ok((await store.storage.raw.batchPut(ctx, "", pairs, false)).ok);
    const range = { startKey: utf8(""), endKey: utf8("") };
    const scans = Array.from({ length: 100 }, (_, i) =>
      i % 4 === 0
        ? store.storage.raw.checksum(ctx, [range])
        : store.storage.raw.scan(ctx, "", {
            startKey: i % 2 === 0 ? utf8("") : utf8("z"),
            endKey: utf8(""),
            limit: KEYS,
            keyOnly: i % 3 === 0,
            reverse: i % 2 !== 0,
          }),
    );
    const checksums = new Set<bigint>();
    for (const reply of await Promise.all(scans)) {
      assert.ok(reply.ok);
      if (!reply.ok) continue;
      const { value } = reply;
      if (Array.isArray(value)) assert.is(value.length, KEYS);
      else checksums.add((value as { checksum: bigint }).checksum);
    }
    assert.is(checksums.size, 1);
    await store.stop();
    await engine.close();
  });
} else {
  test.skip("needs librocksdb", () => {});
}

test.run();
