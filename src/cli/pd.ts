/** `rutile pd`: the placement driver. */
import type { Command } from "commander";
import { addFlags } from "./flags.js";
import { prepare, runOptions } from "./prepare.js";

const HELP = `
Example:
  rutile pd --name pd-1 --client-urls http://10.0.0.1:2379 --data-dir /var/lib/rutile-pd`;

/** Adds `pd` to the program. */
export function registerPd(program: Command): void {
  const command = program
    .command("pd")
    .description("run the placement driver")
    .addHelpText("after", HELP)
    .action(() => pd(command));
  addFlags(command, "pd");
}

async function pd(command: Command): Promise<void> {
  const config = prepare(command, "pd");
  if (config === undefined) return;
  const { runPd } = await import("../node/index.js");
  await runPd(config, runOptions(command));
}
