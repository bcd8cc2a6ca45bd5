/** Runs a check program of test/interop, which prints "PASS name" or "FAIL name: reason" lines. */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

/** Runs a build step in `folder` below the project root; throws with its output when it fails. */
export function buildStep(folder: string, command: string, args: readonly string[]): void {
  const done = spawnSync(command, args, {
    cwd: join(ROOT, folder),
    encoding: "utf8",
    env: { ...process.env, GOFLAGS: "-buildvcs=false" },
  });
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(" ")}\n${done.stdout}${done.stderr}`);
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
