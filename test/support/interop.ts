/** Runs a check program of test/interop, which prints "PASS name" or "FAIL name: reason" lines. */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

const BINARIES = join(ROOT, "build/interop");

/** Runs a build in `folder` of test/interop, one at a time; throws with its output when it fails. */
function build(folder: string, command: string, args: readonly string[]): void {
  mkdirSync(BINARIES, { recursive: true });
  const done = spawnSync("flock", [join(BINARIES, `.${folder}`), command, ...args], {
    cwd: join(ROOT, "test/interop", folder),
    encoding: "utf8",
    env: { ...process.env, GOFLAGS: "-buildvcs=false" },
  });
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(" ")}\n${done.stdout}${done.stderr}`);
}

/** A line of the Go client. */
export type GoClient = "current" | "tidb-8.5";

/** Builds the checks of raw keys, or of transactions, unless they are up to date; returns the path. */
export function buildGo(client: GoClient, checks: "raw" | "txn"): string {
  const program = join(BINARIES, `client_go_${checks}_${client}`);
  const line = client === "current" ? [] : ["-modfile=tidb85.mod", "-tags", "tidb85"];
  build("go", "go", ["build", ...line, "-o", program, checks === "raw" ? "." : "./txn"]);
  return program;
}

/** Builds the checks with the Rust client, unless they are up to date; returns the path. */
export function buildRust(): string {
  const target = join(BINARIES, "rust");
  build("rust", "cargo", ["build", "--quiet", "--target-dir", target]);
  return join(target, "debug/rutile-interop");
}

export interface CheckResult {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
}

/**
 * Resolves with the named checks; a program that dies without a FAIL line counts as one. A program
 * that prints the line WAIT gets an empty line of input once `onWait` resolved.
 */
export function runChecks(
  program: string,
  args: readonly string[],
  onWait?: () => Promise<void>,
): Promise<CheckResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    let waited = false;
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (waited || onWait === undefined || !/^WAIT$/m.test(output)) return;
      waited = true;
      onWait().then(
        () => child.stdin.write("\n"),
        (error: unknown) => {
          reject(error);
          child.kill("SIGKILL");
        },
      );
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      const named = (mark: string): string[] =>
        output
          .split("\n")
          .filter((line) => line.startsWith(mark))
          .map((line) => line.slice(mark.length));
      const failed = named("FAIL ");
      if (code !== 0 && failed.length === 0) failed.push(`exit ${code}: ${errors.slice(-2000)}`);
      resolve({ passed: named("PASS "), failed });
    });
  });
}
