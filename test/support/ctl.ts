/** `rutile ctl` in this process, its output caught. */
import { Command } from "commander";
import { registerCtl } from "../../src/cli/ctl.js";

export interface Ran {
  readonly out: string;
  readonly error: string;
  readonly code: number;
}

/** Runs one command line behind `rutile ctl`. */
export async function runCtl(...args: string[]): Promise<Ran> {
  const out: string[] = [];
  const error: string[] = [];
  let code = 0;
  const program = new Command().exitOverride();
  registerCtl(program, {
    out: (text) => out.push(text),
    error: (text) => error.push(text),
    setExitCode: (set) => {
      code = set;
    },
  });
  await program.parseAsync(["ctl", ...args], { from: "user" });
  return { out: out.join("\n"), error: error.join("\n"), code };
}
