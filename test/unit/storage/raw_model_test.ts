/** Random raw commands against a naive map, in every API version, with time that passes. */
import * as fc from "fast-check";
import { test } from "uvu";
import { API_VERSION } from "../../../src/storage/index.js";
import { FakeClock } from "../../support/fake_clock.js";
import { anyCommand, ModelRun } from "../../support/raw_model.js";
import { startFixture } from "../../support/store_fixture.js";

for (const [name, version] of Object.entries(API_VERSION)) {
  test(`${name}: random commands agree with the model`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyCommand, { maxLength: 60 }), async (commands) => {
        const clock = new FakeClock();
        const fixture = await startFixture({ storage: { apiVersion: version }, clock });
        const run = new ModelRun(fixture, clock, version);
        try {
          for (const one of commands) await run.step(one);
        } finally {
          await fixture.store.stop();
          await fixture.engine.close();
        }
      }),
      { seed: 3, numRuns: 60 },
    );
  });
}

test.run();
