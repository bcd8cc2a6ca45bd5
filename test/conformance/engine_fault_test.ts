/** The engine suite on the memory engine behind the fault wrapper, with no fault set. */
import { EngineFaults, FaultEngine } from "../../src/engine/index.js";
import { memoryHarness } from "../support/engine_harness.js";
import { engineSuite } from "./engine_suite.js";

function unexpectedFatal(error: Error): void {
  throw error;
}

const harness = memoryHarness(
  (engine) => new FaultEngine(engine, new EngineFaults(), unexpectedFatal),
);

engineSuite("fault", harness).run();
