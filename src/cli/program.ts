/** The command tree of `rutile`: commands, help, usage errors. Each command is in its own file. */
import { Command, CommanderError } from "commander";
import { VERSION } from "../base/index.js";
import { EXIT, exitFailed } from "./exit.js";
import { CTL_DESCRIPTION } from "./flags.js";
import { registerPd } from "./pd.js";
import { registerStart } from "./start.js";
import { registerStore } from "./store.js";
import { registerUp } from "./up.js";

const HELP = `
Examples:
  rutile start                                 PD and a store in one process, data in ./rutile-data
  rutile start --memory --port-retry           a throw-away one beside others
  rutile up --stores 3                         PD and three stores, each a process
  rutile pd --client-urls http://10.0.0.1:2379
  rutile store --addr 10.0.0.2:20160 --pd-endpoints 10.0.0.1:2379 --data-dir /var/lib/rutile

Exit codes: 0 stopped or done, 1 failed (one line on stderr says why), 2 wrong usage,
            130 or 143 ended by a second SIGINT or SIGTERM while stopping.`;

/** Returns the program with the commands that `args` may mean; parsing it runs one. */
async function createProgram(args: readonly string[]): Promise<Command> {
  const program = new Command("rutile")
    .description("A TiKV-compatible key-value store and placement driver.")
    .version(VERSION, "-V, --version", "print the version and exit")
    .helpOption("-h, --help", "print help and exit")
    .addHelpText("after", HELP)
    .showSuggestionAfterError(true);
  registerStart(program);
  registerUp(program);
  registerPd(program);
  registerStore(program);
  // The clients behind ctl take as long to load as all the rest: only where ctl is meant.
  if (args.includes("ctl")) (await import("./ctl.js")).registerCtl(program);
  else program.command("ctl").description(CTL_DESCRIPTION);
  for (const command of withSubcommands(program)) {
    const outputError = (text: string, write: (line: string) => void): void =>
      writeUsageError(text, pathOf(command), write);
    command.exitOverride().configureOutput({ outputError });
  }
  return program;
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** Returns the words that lead to a command: "rutile ctl gc". */
function pathOf(command: Command): string {
  const before = command.parent === null ? "" : `${pathOf(command.parent)} `;
  return `${before}${command.name()}`;
}

/** One line: what is wrong, the nearest name, and where help is. */
function writeUsageError(text: string, path: string, write: (line: string) => void): void {
  const line = text
    .trim()
    .replace(/^error: /, "")
    .replaceAll("\n", " ");
  write(`rutile: ${line}; see ${path} --help\n`);
}

/** Runs the command that `args` name and sets the exit code. */
export async function run(args: readonly string[]): Promise<void> {
  try {
    await (await createProgram(args)).parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) exitFailed(error);
    const isAnswer = ["commander.helpDisplayed", "commander.version"].includes(error.code);
    process.exitCode = isAnswer ? EXIT.ok : EXIT.usage;
  }
}
