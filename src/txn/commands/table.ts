/** All commands that write, by kind. A command is one file of this folder and one line here. */
import type { TxnCommand } from "../command.js";
import type { TxnCommandKind } from "../requests.js";
import { acquirePessimisticLockCommand } from "./acquire_pessimistic_lock.js";
import { checkSecondaryLocksCommand } from "./check_secondary_locks.js";
import { checkTxnStatusCommand } from "./check_txn_status.js";
import { cleanupCommand } from "./cleanup.js";
import { commitCommand } from "./commit.js";
import { pessimisticRollbackCommand } from "./pessimistic_rollback.js";
import { prewriteCommand } from "./prewrite.js";
import { resolveLockCommand } from "./resolve_lock.js";
import { rollbackCommand } from "./rollback.js";
import { txnHeartBeatCommand } from "./txn_heart_beat.js";

type CommandTable = { readonly [K in TxnCommandKind]: TxnCommand<K> };

const COMMANDS: CommandTable = {
  prewrite: prewriteCommand,
  commit: commitCommand,
  batchRollback: rollbackCommand,
  cleanup: cleanupCommand,
  checkTxnStatus: checkTxnStatusCommand,
  checkSecondaryLocks: checkSecondaryLocksCommand,
  txnHeartBeat: txnHeartBeatCommand,
  resolveLock: resolveLockCommand,
  acquirePessimisticLock: acquirePessimisticLockCommand,
  pessimisticRollback: pessimisticRollbackCommand,
};

/** Returns the rules of a kind of command. */
export function commandOf<K extends TxnCommandKind>(kind: K): TxnCommand<K> {
  return COMMANDS[kind];
}
