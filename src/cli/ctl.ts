/**
 * `rutile ctl`: a look into a cluster, a hand on raw pairs and on locks that dead transactions left,
 * over the wire only, so that it works against any TiKV and PD. Exit code 1 on an error, with one line on stderr.
 */
import type { Command } from "commander";
import { addClusterCommands } from "./ctl_cluster.js";
import { CtlContext } from "./ctl_context.js";
import { addGcCommands } from "./ctl_gc.js";
import { addOperatorCommands } from "./ctl_operator.js";
import { type CtlIo, PROCESS_IO } from "./ctl_output.js";
import { addRaftCommand } from "./ctl_raft.js";
import { addRawCommands } from "./ctl_raw.js";
import { addConfigCommands, addSchedulerCommands, addStoreCommands } from "./ctl_store.js";
import { addTxnCommands } from "./ctl_txn.js";
import { CTL_DESCRIPTION } from "./flags.js";

const HELP = `
Keys and values are text, or hex behind 0x. Each command explains itself with --help.

Examples:
  rutile ctl put hello world && rutile ctl get hello     raw pairs, not those of transactions
  rutile ctl mvcc account/alice                          versions of a transactional key, and its lock
  rutile ctl locks && rutile ctl resolve-locks           what transactions have left; end the dead ones
  rutile ctl txn                                         who runs, waits and reads how far, store by store
  rutile ctl gc                                          safe points, and what holds them back
  rutile ctl stores && rutile ctl regions                who is there, and who has what
  rutile ctl raft 2                                      the log of region 2 on each of its stores`;

/** Adds `ctl` to the program. */
export function registerCtl(program: Command, io: CtlIo = PROCESS_IO): void {
  const ctl = program
    .command("ctl")
    .description(CTL_DESCRIPTION)
    .option(
      "--pd, --pd-endpoints <list>",
      "placement drivers, with commas between",
      "127.0.0.1:2379",
    )
    .option("--api-version <version>", "V1, V1TTL or V2, as the stores have it", "V1")
    .option("--keyspace <name>", "API V2: the keyspace", "DEFAULT")
    .option("--cf <name>", "column family", "")
    .option("--timeout <seconds>", "longest time for one request", Number, 10)
    .option("--json", "one JSON document instead of a table")
    .option("--hex", "print keys and values as hex")
    .addHelpText("after", HELP);
  const context = new CtlContext(ctl, io);
  addRawCommands(ctl, context);
  addTxnCommands(ctl, context);
  addClusterCommands(ctl, context);
  addStoreCommands(ctl, context);
  addOperatorCommands(ctl, context);
  addSchedulerCommands(ctl, context);
  addConfigCommands(ctl, context);
  addGcCommands(ctl, context);
  addRaftCommand(ctl, context);
}
