/** Builds all check programs, ahead of the tests that run them: `node build/js/test/interop/build.js`. */
import { buildGo, buildRust } from "../support/interop.js";

for (const checks of ["txn", "raw"] as const) {
  for (const client of ["current", "tidb-8.5"] as const) buildGo(client, checks);
}
buildRust();
