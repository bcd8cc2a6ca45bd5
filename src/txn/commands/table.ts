/** All commands that write, by kind. A command is one file of this folder and one line here. */
import { assert } from "../../base/index.js";
import type { TxnCommand } from "../command.js";
import type { TxnCommandKind } from "../requests.js";

type CommandTable = { readonly [K in TxnCommandKind]?: TxnCommand<K> };

const COMMANDS: CommandTable = {};

/** Returns the rules of a kind of command. */
export function commandOf<K extends TxnCommandKind>(kind: K): TxnCommand<K> {
  const command = COMMANDS[kind] as TxnCommand<K> | undefined;
  assert(command !== undefined, `the table has the command ${kind}`);
  return command;
}
