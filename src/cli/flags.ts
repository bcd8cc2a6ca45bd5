/**
 * The flags of `start`, `store` and `pd`, with TiKV's and PD's names: what they set and their help.
 */
import { type Command, Option } from "commander";
import { DATA_DIR_DEFAULT, type FlagValue } from "../config/index.js";

/** What `rutile ctl` is for; told without loading it. */
export const CTL_DESCRIPTION = "look into a cluster: raw pairs, transactions, stores, regions, GC";

/** Where `up` keeps its data. */
export const UP_DIR_DEFAULT = `${DATA_DIR_DEFAULT}/up`;

/** What no configuration key stands for. Absent flags are undefined or false. */
export interface GeneralFlags {
  readonly config?: string;
  readonly dataDir?: string;
  readonly memory?: boolean;
  readonly portRetry?: boolean;
  readonly readyFile?: string;
  readonly stopWithStdin?: boolean;
  readonly configCheck?: boolean;
  readonly printDefaultConfig?: boolean;
}

interface KeyFlag {
  readonly flags: string;
  readonly key: string;
  readonly help: string;
}

const LOG_FLAGS: readonly KeyFlag[] = [
  {
    flags: "-L, --log-level <level>",
    key: "log.level",
    help: "debug, info, warn or error (default: info; start without a log file: warn)",
  },
  { flags: "-f, --log-file <file>", key: "log.file.filename", help: "log file (default: stderr)" },
];

const STORE_FLAGS: readonly KeyFlag[] = [
  {
    flags: "-A, --addr <host:port>",
    key: "server.addr",
    help: "gRPC address of the store (default: 127.0.0.1:20160; port 0 = any free one)",
  },
  {
    flags: "--advertise-addr <host:port>",
    key: "server.advertise-addr",
    help: "what clients connect to (default: --addr)",
  },
  {
    flags: "--status-addr <host:port>",
    key: "server.status-addr",
    help: "status, metrics and config over HTTP (default: 127.0.0.1:20180)",
  },
  {
    flags: "--advertise-status-addr <host:port>",
    key: "server.advertise-status-addr",
    help: "status address that PD tells others (default: --status-addr)",
  },
  { flags: "--labels <k=v,...>", key: "server.labels", help: "location labels, zone=z1,host=h1" },
];

/** The key flags of each command. */
export const KEY_FLAGS = {
  up: LOG_FLAGS,
  start: [
    {
      flags: "--pd-addr <host:port>",
      key: "client-urls",
      help: "address of PD (default: 127.0.0.1:2379; port 0 = any free one)",
    },
    {
      flags: "--advertise-client-urls <urls>",
      key: "advertise-client-urls",
      help: "what clients of PD connect to (default: --pd-addr)",
    },
    ...STORE_FLAGS,
    ...LOG_FLAGS,
  ],
  store: [
    {
      flags: "--pd-endpoints <host:port,...>",
      key: "pd.endpoints",
      help: "PD to join (default: 127.0.0.1:2379)",
    },
    {
      flags: "-s, --data-dir <dir>",
      key: "storage.data-dir",
      help: "directory of the data (default: ./rutile-data/store)",
    },
    ...STORE_FLAGS,
    ...LOG_FLAGS,
  ],
  pd: [
    { flags: "--name <name>", key: "name", help: "name of this member (default: pd)" },
    {
      flags: "-s, --data-dir <dir>",
      key: "data-dir",
      help: "directory of PD's data (default: ./rutile-data/pd)",
    },
    {
      flags: "--client-urls <url>",
      key: "client-urls",
      help: "where PD listens (default: http://127.0.0.1:2379; port 0 = any free one)",
    },
    {
      flags: "--advertise-client-urls <url>",
      key: "advertise-client-urls",
      help: "what clients connect to (default: --client-urls)",
    },
    ...LOG_FLAGS,
  ],
} as const satisfies Record<string, readonly KeyFlag[]>;

/** Where commands with several members keep their data. */
const BASE_DIRS: Partial<Record<FlagSet, string>> = { start: DATA_DIR_DEFAULT, up: UP_DIR_DEFAULT };

function longName(flags: string): string {
  return /--[a-z-]+/.exec(flags)?.[0] as string;
}

/** The commands that have flags of their own. */
export type FlagSet = keyof typeof KEY_FLAGS;

/** Adds the flags of `role` and those that every server command has. */
export function addFlags(command: Command, role: FlagSet): void {
  command.option("-C, --config <file>", "TOML file with TiKV's and PD's keys; a flag wins over it");
  const base = BASE_DIRS[role];
  if (base !== undefined) {
    const help = `directory of all data (default: ${base}); each member has one below it`;
    command.option("-s, --data-dir <dir>", help);
  }
  for (const { flags, help } of KEY_FLAGS[role]) command.addOption(new Option(flags, help));
  command
    .option("--memory", "keep everything in memory; nothing is written, nothing stays")
    .option("--port-retry", "take the next free port when one is taken")
    .option("--ready-file <file>", "write addresses as JSON to this file once requests are served")
    .option("--stop-with-stdin", "stop when standard input ends, as with SIGTERM")
    .option("--config-check", "check the configuration and exit: 0 = valid, 1 = not")
    .option("--print-default-config", "print every key with its default and exit");
}

/** Returns the values that flags gave to configuration keys. */
export function keyFlagValues(command: Command, role: FlagSet): FlagValue[] {
  const values: FlagValue[] = [];
  for (const { flags, key } of KEY_FLAGS[role]) {
    const flag = longName(flags);
    const option = command.options.find((one) => one.long === flag);
    const value: unknown = option && command.getOptionValue(option.attributeName());
    if (typeof value === "string") values.push({ flag, key, value });
  }
  return values;
}
