#!/usr/bin/env node
/**
 * The entry of `rutile`. It checks Node's version before anything else is loaded, because what
 * follows would fail on an old one with an error that does not say so.
 */
const [major = 0, minor = 0, patch = 0] = process.versions.node.split(".").map(Number);
const tooOld = major < 20 || (major === 20 && (minor < 20 || (minor === 20 && patch < 2)));
if (tooOld) {
  console.error(
    `rutile: Node.js ${process.versions.node} is too old (it has known HTTP/2 faults); install 20.20.2 or newer`,
  );
  process.exitCode = 1;
} else {
  const { run } = await import("./program.js");
  await run(process.argv.slice(2));
}
