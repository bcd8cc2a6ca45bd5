/**
 * The engine conformance suite: every implementation passes the same cases. Each case gets an engine
 * on a fresh directory and leaves nothing open.
 */
import { suite, type Test } from "uvu";
import type { EngineHarness } from "../support/engine_harness.js";
import { type EngineCase, openCount } from "./engine_case.js";
import { ARENA_CASES } from "./engine_cases_arena.js";
import { CLOSE_CASES } from "./engine_cases_close.js";
import { ITERATE_CASES } from "./engine_cases_iterate.js";
import { MODEL_CASES } from "./engine_cases_model.js";
import { SNAPSHOT_CASES } from "./engine_cases_snapshot.js";
import { WRITE_CASES } from "./engine_cases_write.js";

const CASES: readonly EngineCase[] = [
  ...WRITE_CASES,
  ...SNAPSHOT_CASES,
  ...ITERATE_CASES,
  ...ARENA_CASES,
  ...CLOSE_CASES,
  ...MODEL_CASES,
];

/** Returns a suite of all cases on `harness`, for the caller to run. */
export function engineSuite(name: string, harness: EngineHarness): Test {
  const cases = suite(`engine conformance: ${name}`);
  for (const { title, run } of CASES) {
    cases(title, async () => {
      const path = harness.newPath();
      const engine = await harness.open(path);
      try {
        await run({ harness, path, engine });
      } finally {
        if (openCount(engine) === 0) await engine.close();
      }
    });
  }
  return cases;
}
