/** `rutile up`: a PD and stores on this machine, each a process. */
import { type Command, InvalidArgumentError } from "commander";
import type { UpOptions, UpOutput } from "../node/index.js";
import { addFlags, type GeneralFlags, UP_DIR_DEFAULT } from "./flags.js";
import { prepare, runOptions } from "./prepare.js";
import { upBlock } from "./ready_block.js";

interface UpFlags extends GeneralFlags {
  readonly stores: number;
  readonly basePort?: number;
  readonly labels: readonly string[];
  readonly testApi?: number;
}

const STORES_MAX = 20;
const PORT_MAX = 65_535;
const PD_PORT = 2379;
const STORE_PORT = 20_160;
const STATUS_PORT = 20_180;

const HELP = `
Examples:
  rutile up                               three stores that replicate, data in ${UP_DIR_DEFAULT}
  rutile up --memory --base-port 0        a throw-away cluster on free ports
  rutile up --base-port 9000              PD on 9000, stores from 9001 on, status from 9021 on
  rutile up --labels zone=z1 --labels zone=z2 --labels zone=z3
  rutile ctl stores                       in another terminal: what PD knows

Without --base-port: PD on ${PD_PORT}, stores from ${STORE_PORT} on, status from ${STATUS_PORT} on.
Each region has as many replicas as there are stores, at most three (replication.max-replicas).
The lines of each member have its name before them. What it says in --config holds for every member,
except for addresses and directories. A second start with the same --data-dir goes on where it ended.

A store that dies is told with its exit code and last lines; the others go on. Without PD, or without
any store, all ends with exit code 1. SIGTERM and SIGINT stop the stores, then PD, and exit 0; what
does not stop in time is killed. A second one exits at once.`;

/** Adds `up` to the program. */
export function registerUp(program: Command): void {
  const command = program
    .command("up")
    .description("run a cluster on this machine: PD and stores, each a process")
    .option("--stores <count>", "how many stores", wholeNumber(1, STORES_MAX), 3)
    .option("--base-port <port>", "first port; 0 = any free ones", wholeNumber(0, PORT_MAX - 50))
    .option("--labels <k=v,...>", "of one store; repeat it, stores take them in turn", collect, [])
    .option(
      "--test-api <port>",
      "control server for faults, on loopback (src/testing/README.md); 0 = any free port",
      wholeNumber(0, PORT_MAX),
    )
    .addHelpText("after", HELP)
    .action(() => up(command));
  addFlags(command, "up");
}

function wholeNumber(min: number, max: number): (given: string) => number {
  return (given) => {
    const number = Number(given);
    if (/^\d{1,5}$/.test(given) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
  };
}

function collect(given: string, before: readonly string[]): string[] {
  return [...before, given];
}

async function up(command: Command): Promise<void> {
  const flags: UpFlags = command.opts();
  const labels = flags.labels.map((value) => ({ flag: "--labels", key: "server.labels", value }));
  const config = prepare(command, "start", "up", labels);
  if (config === undefined) return;
  const inMemory = flags.memory === true || config.values["engine.binding"] === "memory";
  const options: UpOptions = {
    stores: flags.stores,
    dataDir: inMemory ? "" : (flags.dataDir ?? UP_DIR_DEFAULT),
    ports: portsFrom(flags.basePort),
    labels: flags.labels,
  };
  const { CHOSEN_KEYS, runUp } = await import("../node/index.js");
  const unused = [...config.given].filter((key) => CHOSEN_KEYS.has(key));
  if (unused.length > 0) {
    const keys = unused.join(", ");
    console.error(`rutile: warning: up chooses addresses and directories; not used: ${keys}`);
  }
  const output: UpOutput = {
    onLine: (name, line) => console.error(`[${name}] ${line}`),
    onNotice: (text) => console.error(`rutile: ${text}`),
    onReady: (info, seconds) => console.log(upBlock(info, seconds)),
  };
  const run = runOptions(command);
  if (flags.testApi === undefined) await runUp(config, options, run, output);
  else {
    const { runTestUp } = await import("../testing/index.js");
    await runTestUp(config, { ...options, port: flags.testApi }, run, output);
  }
}

/** Returns the ports of `--base-port`; undefined: TiKV's. */
function portsFrom(base: number | undefined): UpOptions["ports"] {
  if (base === 0) return { pd: 0, store: () => 0, status: () => 0 };
  if (base === undefined) {
    return { pd: PD_PORT, store: (i) => STORE_PORT + i, status: (i) => STATUS_PORT + i };
  }
  return { pd: base, store: (i) => base + 1 + i, status: (i) => base + 1 + STORES_MAX + i };
}
