/** Runs the Raft scripts of this folder. REWRITE=1 regenerates them. */
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runScript, scriptsIn } from "../../support/datadriven.js";
import { ROOT } from "../../tidy/sources.js";
import { Env } from "./env.js";
import { VERBS } from "./verbs.js";

const SCRIPTS = scriptsIn(join(ROOT, "test/golden/raft"));

for (const path of SCRIPTS) {
  test(path.slice(path.lastIndexOf("/") + 1), () => {
    const env = new Env();
    const cases = runScript(path, (item) => {
      const verb = VERBS[item.verb];
      if (verb === undefined) throw new Error(`${path}:${item.line}: no verb ${item.verb}`);
      verb(env, item);
      return env.take();
    });
    assert.ok(cases > 0, "a script has cases");
  });
}

test("there are scripts", () => {
  assert.ok(SCRIPTS.length > 10);
});

test.run();
