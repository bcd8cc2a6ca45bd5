/**
 * The transactional methods of tikvpb.Tikv as a table.
 * Not here, and so UNIMPLEMENTED: KvGC, as in TiKV; KvFlush, KvBufferBatchGet, flashback.
 */
import { fromBigInt, type kvrpcpb } from "../pb/index.js";
import type { Rpc } from "./rpc.js";
import { getLockWaitInfo, kvPessimisticLock, kvPessimisticRollback } from "./txn_lock_handlers.js";
import {
  kvBatchGet,
  kvGet,
  kvScan,
  kvScanLock,
  mvccGetByKey,
  mvccGetByStartTs,
} from "./txn_read_handlers.js";
import { type TxnCall, txnRpc } from "./txn_rpc.js";
import {
  broadcastTxnStatus,
  kvBatchRollback,
  kvCheckSecondaryLocks,
  kvCheckTxnStatus,
  kvCleanup,
  kvCommit,
  kvDeleteRange,
  kvPrewrite,
  kvResolveLock,
  kvTxnHeartBeat,
} from "./txn_write_handlers.js";

/** The bounds are region keys, encoded already; without a range, all of the store. */
function getStoreSafeTs(
  call: TxnCall,
  { keyRange }: kvrpcpb.StoreSafeTSRequest,
): kvrpcpb.IStoreSafeTSResponse {
  const none = new Uint8Array(0);
  const safeTs = call.storage.safeTs(keyRange?.startKey ?? none, keyRange?.endKey ?? none);
  return { safeTs: fromBigInt(safeTs) };
}

export const TXN_RPCS: readonly Rpc[] = [
  txnRpc("KvGet", 1, "kv_get", kvGet),
  txnRpc("KvScan", 2, "kv_scan", kvScan),
  txnRpc("KvPrewrite", 3, "kv_prewrite", kvPrewrite),
  txnRpc("KvCommit", 4, "kv_commit", kvCommit),
  txnRpc("KvCleanup", 6, "kv_cleanup", kvCleanup),
  txnRpc("KvBatchGet", 7, "kv_batch_get", kvBatchGet),
  txnRpc("KvBatchRollback", 8, "kv_batch_rollback", kvBatchRollback),
  txnRpc("KvScanLock", 9, "kv_scan_lock", kvScanLock),
  txnRpc("KvResolveLock", 10, "kv_resolve_lock", kvResolveLock),
  txnRpc("KvDeleteRange", 12, "kv_delete_range", kvDeleteRange),
  txnRpc("KvPessimisticLock", 23, "kv_pessimistic_lock", kvPessimisticLock),
  txnRpc("KVPessimisticRollback", 24, "kv_pessimistic_rollback", kvPessimisticRollback),
  txnRpc("KvCheckTxnStatus", 25, "kv_check_txn_status", kvCheckTxnStatus),
  txnRpc("KvTxnHeartBeat", 26, "kv_txn_heart_beat", kvTxnHeartBeat),
  txnRpc("KvCheckSecondaryLocks", 33, "kv_check_secondary_locks", kvCheckSecondaryLocks),
  txnRpc("BroadcastTxnStatus", 40, "broadcast_txn_status", broadcastTxnStatus),
  txnRpc("MvccGetByKey", 0, "mvcc_get_by_key", mvccGetByKey),
  txnRpc("MvccGetByStartTs", 0, "mvcc_get_by_start_ts", mvccGetByStartTs),
  txnRpc("GetStoreSafeTS", 0, "get_store_safe_ts", getStoreSafeTs),
  txnRpc("GetLockWaitInfo", 0, "get_lock_wait_info", getLockWaitInfo),
];
