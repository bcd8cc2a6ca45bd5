/** All commands that write, by kind. A command is one file of this folder and one line here. */
import { assert } from "../../base/index.js";
import type { TxnCommand } from "../command.js";
import type { TxnCommandKind } from "../requests.js";
import { commitCommand } from "./commit.js";
import { prewriteCommand } from "./prewrite.js";

type CommandTable = { readonly [K in TxnCommandKind]?: TxnCommand<K> };

const COMMANDS: CommandTable = {
  prewrite: prewriteCommand,
  commit: commitCommand,
};

/** Returns the rules of a kind of command. */
export function commandOf<K extends TxnCommandKind>(kind: K): TxnCommand<K> {
  const command = COMMANDS[kind] as TxnCommand<K> | undefined;
  assert(command !== undefined, `the table has the command ${kind}`);
  return command;
}
