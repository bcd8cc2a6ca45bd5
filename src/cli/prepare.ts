/**
 * What `start`, `store` and `pd` share before they run: reading the configuration, printing it or
 * its problems.
 */
import type { Command } from "commander";
import {
  defaultsOf,
  type FlagValue,
  formatProblem,
  type Loaded,
  loadConfig,
  printConfig,
  ROLE_FIELDS,
  type Role,
} from "../config/index.js";
import type { RunOptions } from "../node/index.js";
import { EXIT, exitFailed } from "./exit.js";
import { type FlagSet, type GeneralFlags, keyFlagValues } from "./flags.js";
import { readyBlock } from "./ready_block.js";

/**
 * Returns the configuration of a command, or undefined when the command is done: it printed the
 * defaults, checked the configuration, or found problems (exit code 1). `flagSet`: whose flags
 * it has; `moreFlags`: values of flags that set keys in a way of their own.
 */
export function prepare<R extends Role>(
  command: Command,
  role: R,
  flagSet: FlagSet = role,
  moreFlags: readonly FlagValue[] = [],
): Loaded<R> | undefined {
  const flags: GeneralFlags = command.opts();
  if (flags.printDefaultConfig) {
    const fields = ROLE_FIELDS[role];
    process.stdout.write(printConfig(fields, defaultsOf(fields)));
    return undefined;
  }
  const loaded = loadConfig(role, flags.config, [...keyFlagValues(command, flagSet), ...moreFlags]);
  const warnings = loaded.ok ? loaded.config.warnings : loaded.warnings;
  for (const warning of warnings) console.error(`rutile: warning: ${formatProblem(warning)}`);
  if (!loaded.ok) {
    for (const problem of loaded.problems) console.error(`rutile: ${formatProblem(problem)}`);
    process.exitCode = EXIT.failed;
    return undefined;
  }
  if (flags.configCheck) {
    console.log("rutile: the configuration is valid");
    return undefined;
  }
  return loaded.config;
}

/** Returns what the flags of `command` say beside configuration keys. */
export function runOptions(command: Command): RunOptions {
  const flags: GeneralFlags = command.opts();
  return {
    memory: flags.memory ?? false,
    portRetry: flags.portRetry ?? false,
    readyFile: flags.readyFile,
    stopWithStdin: flags.stopWithStdin ?? false,
    onReady: (info, seconds) => console.log(readyBlock(info, seconds)),
    onFatal: exitFailed,
  };
}
