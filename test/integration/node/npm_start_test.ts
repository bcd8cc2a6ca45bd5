/**
 * `npm start` as service managers and shells end it: the signal goes to npm, and what serves must end
 * with it.
 * @timeout 60
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ANY_PORTS, type Ready } from "../../support/rutile.js";
import { tmpDir } from "../../support/tmp.js";
import { within } from "../../support/within.js";

const ROOT = fileURLToPath(new URL("../../../../../", import.meta.url));
const LIMIT_MS = 30_000;

function answers(address: string): Promise<boolean> {
  const [host = "", port] = address.split(":");
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

test("SIGTERM of npm stops the node: exit code 0, and nobody listens any more", async () => {
  const readyFile = join(tmpDir("npm"), "ready.json");
  const flags = [...ANY_PORTS, "--memory", "--ready-file", readyFile, "--stop-with-stdin"];
  const npm = spawn("npm", ["start", "--", ...flags], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";
  npm.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  npm.stderr.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const exited = new Promise<unknown>((resolve) =>
    npm.once("close", (code, signal) => resolve([code, signal])),
  );
  try {
    const ready = await within(LIMIT_MS, "npm start serves", () => {
      if (npm.exitCode !== null) throw new Error(`npm start ended: ${output}`);
      return existsSync(readyFile) && (JSON.parse(readFileSync(readyFile, "utf8")) as Ready);
    });
    const addresses = [ready.pd, ready.store, ready.status] as string[];
    for (const address of addresses) assert.ok(await answers(address), address);
    npm.kill("SIGTERM");
    assert.equal(await exited, [0, null], output);
    for (const address of addresses) assert.not(await answers(address), address);
  } finally {
    npm.stdin.end();
    npm.kill("SIGKILL");
  }
});

test.run();
