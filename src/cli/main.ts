#!/usr/bin/env node
/**
 * The entry of `rutile`. It checks Node's version before anything else is loaded, because what
 * follows would fail on an old one with an error that does not say so.
 */
import { nodeProblem } from "./node_version.js";

const problem = nodeProblem(process.versions.node);
if (problem !== undefined) {
  console.error(`rutile: ${problem}`);
  process.exitCode = 1;
} else {
  const { run } = await import("./program.js");
  await run(process.argv.slice(2));
}
