/**
 * A client for those who look after a cluster: finds locks, tells what became of their transactions,
 * ends the dead ones; shows all versions of a key. For GC leaders and `rutile ctl`; not a part of the
 * published client.
 */
import type { kvrpcpb } from "../../pb/index.js";
import { assembleParts, type ClientParts, type ClientPorts, connectParts } from "../connect.js";
import { TxnContext } from "./context.js";
import { GcLocks, type GcLocksResult } from "./gc_locks.js";
import { LockResolver } from "./lock_resolver.js";
import { lockPages } from "./lock_scan.js";
import type { LockView } from "./lock_view.js";
import { TXN_CLIENT_DEFAULTS, type TxnClientOptions } from "./options.js";

export interface TxnAdmin {
  /**
   * Resolves the locks of transactions that began at or before `safePoint`, in all regions. Rejects
   * with ClientError when one cannot be resolved; see GcLocks.
   */
  resolve(safePoint: bigint): Promise<GcLocksResult>;
  /** Locks of transactions that began at or before `maxTs`, in user keys, in their order. */
  locks(start: Uint8Array, end: Uint8Array, maxTs: bigint): AsyncIterable<LockView>;
  /** Returns a timestamp above all that were given out before. */
  timestamp(): Promise<bigint>;
  /** Everything that is stored of a user key. */
  mvcc(key: Uint8Array): Promise<kvrpcpb.IMvccInfo>;
  /** Ends what is under way; it rejects. */
  close(): void;
}

/** Connects to a cluster. Throws when PD does not answer. */
export async function connectTxnAdmin(
  config: Pick<TxnClientOptions, "pdEndpoints"> & Partial<TxnClientOptions>,
): Promise<TxnAdmin> {
  const options = { ...TXN_CLIENT_DEFAULTS, ...config };
  return adminOf(await connectParts(options, "txn"), options);
}

/** Returns the same on other ports than sockets, for tests and simulators. */
export function txnAdminOver(ports: ClientPorts, config: Partial<TxnClientOptions> = {}): TxnAdmin {
  const options = { ...TXN_CLIENT_DEFAULTS, pdEndpoints: [], ...config };
  return adminOf(assembleParts(ports, options), options);
}

function adminOf(parts: ClientParts, options: TxnClientOptions): TxnAdmin {
  const closing = new AbortController();
  const context = new TxnContext(parts, options, closing.signal);
  const resolver = new LockResolver(context);
  const { mode, sender } = parts;
  return {
    resolve: (safePoint) => new GcLocks(context, resolver, safePoint).resolve(),
    async *locks(start, end, maxTs) {
      for await (const { locks } of lockPages(context, mode.range(start, end), maxTs)) {
        for (const lock of locks) {
          const [key, primary] = [mode.fromWire(lock.key), mode.fromWire(lock.primary)];
          yield { ...lock, key, primary };
        }
      }
    },
    timestamp: () => context.timestamp(context.newOp()),
    async mvcc(key) {
      const wireKey = mode.toWire(key);
      const op = context.newOp();
      const { info } = await sender.sendTo(wireKey, "MvccGetByKey", { key: wireKey }, op);
      return info ?? {};
    },
    close: () => {
      closing.abort();
      parts.rpc.close();
      parts.pd.close();
    },
  };
}
