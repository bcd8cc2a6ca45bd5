/** `rutile store`: a store that joins a placement driver. */
import type { Command } from "commander";
import { addFlags } from "./flags.js";
import { prepare, runOptions } from "./prepare.js";

const HELP = `
Example:
  rutile store --addr 10.0.0.2:20160 --pd-endpoints 10.0.0.1:2379 --data-dir /var/lib/rutile

PD need not be there yet: the store waits for it and says so every 5 s.`;

/** Adds `store` to the program. */
export function registerStore(program: Command): void {
  const command = program
    .command("store")
    .description("run a store that joins a placement driver")
    .addHelpText("after", HELP)
    .action(() => store(command));
  addFlags(command, "store");
}

async function store(command: Command): Promise<void> {
  const config = prepare(command, "store");
  if (config === undefined) return;
  const { runStore } = await import("../node/index.js");
  await runStore(config, runOptions(command));
}
