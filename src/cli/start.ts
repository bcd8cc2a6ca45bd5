/** `rutile start`: PD and a store in one process. */
import type { Command } from "commander";
import { startDirs } from "../config/index.js";
import { addFlags, type GeneralFlags } from "./flags.js";
import { prepare, runOptions } from "./prepare.js";

const HELP = `
Examples:
  rutile start
  rutile start --data-dir /tmp/d --pd-addr 127.0.0.1:0 --addr 127.0.0.1:0 --status-addr 127.0.0.1:0
  rutile start --print-default-config > rutile.toml && rutile start --config rutile.toml

SIGTERM and SIGINT drain and exit 0; a second one exits at once. SIGHUP reopens the log file.`;

/** Adds `start` to the program. */
export function registerStart(program: Command): void {
  const command = program
    .command("start")
    .description("run PD and a store in one process")
    .addHelpText("after", HELP)
    .action(() => start(command));
  addFlags(command, "start");
}

async function start(command: Command): Promise<void> {
  const config = prepare(command, "start");
  if (config === undefined) return;
  const flags: GeneralFlags = command.opts();
  const { runPlayground } = await import("../node/index.js");
  await runPlayground(config, startDirs(config, flags.dataDir), runOptions(command));
}
