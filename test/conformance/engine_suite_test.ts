/**
 * Runs the engine suite on each binding, one a process.
 * @variants RUTILE_ENGINE=memory,librocksdb,rocksdb
 * @timeout 180
 * @seconds 18
 */
import { test } from "uvu";
import { harnessOfEnvironment } from "../support/engine_harness.js";
import { engineSuite } from "./engine_suite.js";

const harness = harnessOfEnvironment();
if (harness === undefined) test.skip("engine conformance: the library is missing", () => {});
const cases = harness === undefined ? test : engineSuite(harness.binding, harness);
cases.run();
