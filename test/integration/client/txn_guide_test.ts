/**
 * The guide to transactions in the README: its examples run one after the other, as a program of a
 * user, and print what stands behind their lines.
 */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tmpDir } from "../../support/tmp.js";
import { startTxnCluster } from "../../support/txn_cluster.js";
import { ROOT } from "../../tidy/sources.js";

const test = suite("txn guide");

/** Returns the lines of the section's examples. */
function examples(): string[] {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const section = readme.split("\n## ").find((part) => part.startsWith("Transactions\n"));
  assert.ok(section !== undefined, "README.md has a section Transactions");
  return (section as string)
    .split("\n")
    .filter((line) => line.startsWith("    "))
    .map((line) => line.slice(4));
}

/** Returns what the examples say that they print, one entry a line. */
function promised(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const [, comment] = line.split("// → ");
    return comment === undefined ? [] : comment.split(" → ");
  });
}

async function run(program: string): Promise<{ out: string; err: string; code: number | null }> {
  const child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "pipe"] });
  const chunks = { out: "", err: "" };
  child.stdout.on("data", (chunk: Buffer) => {
    chunks.out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    chunks.err += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { ...chunks, code };
}

test("the examples of the README print what they promise", async () => {
  const lines = examples();
  const expected = promised(lines);
  assert.ok(expected.length >= 9, `${expected.length} promises`);
  const { cluster, stop } = await startTxnCluster();
  try {
    const entry = pathToFileURL(join(ROOT, "build/js/src/client/index.js")).href;
    const endpoint = cluster.pdEndpoints[0] as string;
    const program = join(tmpDir("txn_guide"), "guide.mjs");
    const text = lines.join("\n");
    assert.ok(text.includes("127.0.0.1:2379") && text.includes('"rutile/client"'));
    writeFileSync(
      program,
      text.replaceAll('"rutile/client"', JSON.stringify(entry)).replace("127.0.0.1:2379", endpoint),
    );
    const { code, err, out } = await run(program);
    assert.is(err, "");
    assert.equal(out.trimEnd().split("\n"), expected);
    assert.is(code, 0);
  } finally {
    await stop();
  }
});

test("the package gives users what the guide imports", async () => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    exports: Record<string, { default: string }>;
  };
  assert.is(exports["./client"]?.default, "./build/js/src/client/index.js");
});

test.run();
