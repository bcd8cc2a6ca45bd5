/** All that is stored of a key as kvrpcpb.MvccInfo, for people who look for a fault. */
import { WRITE_TYPE, type WriteType } from "../codec/index.js";
import { fromBigInt, kvrpcpb } from "../pb/index.js";
import type { MvccInfo } from "../txn/index.js";
import { lockTypeToProto } from "./key_error.js";

function writeTypeToProto(type: WriteType): number {
  switch (type) {
    case WRITE_TYPE.put:
      return kvrpcpb.Op.Put;
    case WRITE_TYPE.delete:
      return kvrpcpb.Op.Del;
    case WRITE_TYPE.lock:
      return kvrpcpb.Op.Lock;
    default:
      return kvrpcpb.Op.Rollback;
  }
}

function lockToProto(lock: NonNullable<MvccInfo["lock"]>): kvrpcpb.IMvccLock {
  return {
    type: lockTypeToProto(lock.type),
    startTs: fromBigInt(lock.startTs),
    primary: lock.primary,
    shortValue: lock.shortValue,
    ttl: fromBigInt(lock.ttl),
    forUpdateTs: fromBigInt(lock.forUpdateTs),
    txnSize: fromBigInt(lock.txnSize),
    useAsyncCommit: lock.useAsyncCommit,
    secondaries: lock.secondaries,
    rollbackTs: lock.rollbackTs.map(fromBigInt),
    lastChangeTs: fromBigInt(lock.lastChange.ts),
    versionsToLastChange: fromBigInt(lock.lastChange.versions),
  };
}

function writeToProto({ commitTs, write }: MvccInfo["writes"][number]): kvrpcpb.IMvccWrite {
  return {
    type: writeTypeToProto(write.type),
    startTs: fromBigInt(write.startTs),
    commitTs: fromBigInt(commitTs),
    shortValue: write.shortValue,
    hasOverlappedRollback: write.hasOverlappedRollback,
    hasGcFence: write.gcFence !== undefined,
    gcFence: fromBigInt(write.gcFence ?? 0n),
    lastChangeTs: fromBigInt(write.lastChange.ts),
    versionsToLastChange: fromBigInt(write.lastChange.versions),
  };
}

/** Returns the kvrpcpb.MvccInfo that says the same. */
export function mvccInfoToProto({ lock, writes, values }: MvccInfo): kvrpcpb.IMvccInfo {
  return {
    ...(lock !== undefined && { lock: lockToProto(lock) }),
    writes: writes.map(writeToProto),
    values: values.map(({ startTs, value }) => ({ startTs: fromBigInt(startTs), value })),
  };
}
