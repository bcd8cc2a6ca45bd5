/** `rutile ctl` mvcc, locks, resolve-locks, txn: transactions, their locks and their leavings. */
import type { Command } from "commander";
import { errorMessage } from "../base/index.js";
import type { LockView, TxnAdmin } from "../client/internal.js";
import { kvrpcpb, toBigInt } from "../pb/index.js";
import {
  type CtlContext,
  CtlError,
  LOGICAL_BITS,
  mustPd,
  timeOf,
  timestampOf,
} from "./ctl_context.js";
import { bytesText, parseBytes, type Row } from "./ctl_output.js";

const MVCC_HELP = `
What there is of a key: its lock first, then its versions, the newest first. A version is visible to
reads at or above its commit_ts; a "Put" has a value, a "Del" deleted the key, a "Lock" and a "Rollback"
changed nothing. Pessimistic locks that live in the leader's memory alone are shown by ctl locks.`;

const LOCKS_HELP = `
A lock stands from the prewrite of its transaction to the commit, a pessimistic one from when it was
asked for. left_ms below 0: nobody keeps it alive any more; who meets it ends its transaction.

Examples:
  rutile ctl locks                                   all that began before now
  rutile ctl locks account/ account0 --limit 20      some keys
  rutile ctl locks --before 470629388536250369       those that hold back a safe point`;

const RESOLVE_HELP = `
Asks at each lock's primary what became of its transaction: committed ones are completed, rolled back
and expired ones removed. Those that are alive stay, and the oldest of them is told. Safe at any time:
clients do the same when they meet such a lock.`;

/** Adds the commands to `ctl`. */
export function addTxnCommands(ctl: Command, context: CtlContext): void {
  const show = (bytes: Uint8Array): string => bytesText(bytes, context.options.hex === true);
  ctl
    .command("mvcc")
    .description("all versions of a transactional key, and its lock")
    .argument("<key>", "key as clients know it; 0x… for hex")
    .addHelpText("after", MVCC_HELP)
    .action((key: string) =>
      context.withTxn(async (admin) => {
        const rows = mvccRows(await admin.mvcc(parseBytes(key)), show);
        if (rows.length === 0) context.missing("nothing is stored of it", []);
        else context.print(rows);
      }),
    );
  ctl
    .command("locks")
    .description("locks of transactions, in key order")
    .argument("[start]", "first key; none: from the beginning", "")
    .argument("[end]", "end, exclusive; none: to the end", "")
    .option("--before <timestamp>", "of transactions that began at or before it (default: now)")
    .option("--limit <count>", "most locks", Number, 100)
    .addHelpText("after", LOCKS_HELP)
    .action((start: string, end: string, flags: { before?: string; limit: number }) =>
      context.withTxn(async (admin, now) => {
        if (!(flags.limit >= 1)) throw new CtlError("--limit must be a number from 1 on");
        const maxTs = flags.before === undefined ? now : timestampOf(flags.before);
        const rows: Row[] = [];
        for await (const lock of admin.locks(parseBytes(start), parseBytes(end), maxTs)) {
          rows.push(lockRow(lock, now, show));
          if (rows.length >= flags.limit) break;
        }
        context.print(rows);
      }),
    );
  ctl
    .command("resolve-locks")
    .description("ends transactions that left locks and are not alive")
    .option("--before <timestamp>", "those that began at or before it (default: now)")
    .addHelpText("after", RESOLVE_HELP)
    .action((flags: { before?: string }) =>
      context.withTxn((admin, now) => resolve(context, admin, flags.before, now)),
    );
  ctl
    .command("txn")
    .description("transactions on each store: commands, lock waits, GC, max_ts, resolved_ts")
    .action(() =>
      context.withPd(async (pd) => {
        const stores = mustPd(await pd.getAllStores(false));
        return Promise.all(stores.map(({ id, statusAddress }) => storeRow(id, statusAddress)));
      }),
    );
}

async function resolve(
  context: CtlContext,
  admin: TxnAdmin,
  before: string | undefined,
  now: bigint,
): Promise<void> {
  const maxTs = before === undefined ? now : timestampOf(before);
  const { oldestAlive, regions, resolvedLocks } = await admin.resolve(maxTs);
  context.print([
    {
      regions,
      resolved_locks: resolvedLocks,
      oldest_alive: oldestAlive?.toString(),
      alive_since: oldestAlive === undefined ? undefined : timeOf(oldestAlive),
    },
  ]);
}

type Show = (bytes: Uint8Array) => string;

function lockRow(lock: LockView, now: bigint, show: Show): Row {
  const ageMs = Number((now >> LOGICAL_BITS) - (lock.startTs >> LOGICAL_BITS));
  return {
    key: show(lock.key),
    primary: show(lock.primary),
    start_ts: lock.startTs.toString(),
    since: timeOf(lock.startTs),
    kind: lock.isPessimistic ? "pessimistic" : lock.isAsync ? "async commit" : "prewrite",
    ttl_ms: Number(lock.ttlMs),
    left_ms: Number(lock.ttlMs) - ageMs,
  };
}

function mvccRows(info: kvrpcpb.IMvccInfo, show: Show): Row[] {
  const { lock, values = [], writes = [] } = kvrpcpb.MvccInfo.create(info);
  const long = new Map(
    values.map((one) => {
      const { startTs, value } = kvrpcpb.MvccValue.create(one);
      return [toBigInt(startTs), value] as const;
    }),
  );
  const rows: Row[] = [];
  if (lock) {
    const { primary, shortValue, startTs, ttl, type } = kvrpcpb.MvccLock.create(lock);
    const value = shortValue.length > 0 ? shortValue : long.get(toBigInt(startTs));
    rows.push({
      what: "lock",
      start_ts: toBigInt(startTs).toString(),
      commit_ts: undefined,
      kind: kvrpcpb.Op[type],
      value: value === undefined ? undefined : show(value),
      note: `primary ${show(primary)}, ttl ${toBigInt(ttl)} ms`,
    });
  }
  for (const one of writes) {
    const { commitTs, shortValue, startTs, type } = kvrpcpb.MvccWrite.create(one);
    const value = shortValue.length > 0 ? shortValue : long.get(toBigInt(startTs));
    const isPut = type === kvrpcpb.Op.Put;
    rows.push({
      what: "version",
      start_ts: toBigInt(startTs).toString(),
      commit_ts: toBigInt(commitTs).toString(),
      kind: kvrpcpb.Op[type],
      value: isPut ? show(value ?? shortValue) : undefined,
      note: timeOf(toBigInt(commitTs)),
    });
  }
  return rows;
}

interface TxnPage {
  readonly commands: { readonly running: number };
  readonly latches: { readonly waiting: number };
  readonly lock_waits: readonly object[];
  readonly deadlocks: { readonly role: string };
  readonly pessimistic_locks_in_memory: { readonly count: number };
  readonly gc: { readonly safe_point: string | null };
  readonly max_ts: string;
  readonly resolved_ts: { readonly min: string | null };
}

/** What a store's status page says about transactions, in a line. */
async function storeRow(store: bigint, statusAddress: string): Promise<Row> {
  const row = (page: TxnPage | undefined, problem?: string): Row => ({
    store,
    running: page?.commands.running,
    latch_waits: page?.latches.waiting,
    lock_waits: page?.lock_waits.length,
    memory_locks: page?.pessimistic_locks_in_memory.count,
    detector: page?.deadlocks.role,
    max_ts: page?.max_ts,
    resolved_ts: page?.resolved_ts.min ?? undefined,
    gc_safe_point: page?.gc.safe_point ?? undefined,
    problem,
  });
  if (statusAddress === "") return row(undefined, "no status address");
  try {
    const answer = await fetch(`http://${statusAddress}/txn`);
    if (!answer.ok) return row(undefined, `${answer.status} ${await answer.text()}`);
    return row((await answer.json()) as TxnPage);
  } catch (error) {
    return row(undefined, `${statusAddress}: ${errorMessage(error)}`);
  }
}
