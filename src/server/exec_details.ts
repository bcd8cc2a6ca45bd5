/**
 * kvrpcpb.ExecDetailsV2 from what storage measured. Reads tell their time in the deprecated
 * milliseconds, too; commands that write tell how the write went. Fields for which nothing is
 * measured stay 0. Source: tikv components/tracker, server/service/kv.rs set_time_detail.
 */
import { Statistics } from "../mvcc/index.js";
import type { kvrpcpb } from "../pb/index.js";
import type { ExecDetails } from "../storage/index.js";

const NANOS_PER_MS = 1_000_000;

const nanos = (ms: number): number => Math.max(0, Math.round(ms * NANOS_PER_MS));
const wholeMs = (ms: number): number => Math.max(0, Math.trunc(ms));

/** Returns details in which nothing has been measured yet. */
export function newExecDetails(): ExecDetails {
  return {
    statistics: new Statistics(),
    waitMs: 0,
    processMs: 0,
    latchWaitMs: 0,
    writeMs: 0,
    lockWaitMs: 0,
  };
}

function scanDetail({ statistics }: ExecDetails): kvrpcpb.IScanDetailV2 {
  return {
    processedVersions: statistics.write.processedKeys,
    totalVersions: statistics.totalVersions,
    processedVersionsSize: statistics.processedSize,
  };
}

/** Details of a get or batch get that took `totalMs` from its request to its answer. */
export function readDetailsToProto(details: ExecDetails, totalMs: number): kvrpcpb.IExecDetailsV2 {
  const { waitMs, processMs } = details;
  return {
    timeDetail: {
      waitWallTimeMs: wholeMs(waitMs),
      processWallTimeMs: wholeMs(processMs),
      kvReadWallTimeMs: wholeMs(totalMs),
      totalRpcWallTimeNs: nanos(totalMs),
    },
    timeDetailV2: {
      waitWallTimeNs: nanos(waitMs),
      processWallTimeNs: nanos(processMs),
      kvReadWallTimeNs: nanos(totalMs),
      totalRpcWallTimeNs: nanos(totalMs),
    },
    scanDetailV2: scanDetail(details),
  };
}

/** Details of a command that writes and took `totalMs` from its request to its answer. */
export function writeDetailsToProto(details: ExecDetails, totalMs: number): kvrpcpb.IExecDetailsV2 {
  return {
    timeDetailV2: {
      waitWallTimeNs: nanos(details.waitMs),
      processWallTimeNs: nanos(details.processMs),
      totalRpcWallTimeNs: nanos(totalMs),
    },
    scanDetailV2: scanDetail(details),
    writeDetail: {
      latchWaitNanos: nanos(details.latchWaitMs),
      processNanos: nanos(details.processMs),
      applyLogNanos: nanos(details.writeMs),
      pessimisticLockWaitNanos: nanos(details.lockWaitMs),
    },
  };
}
