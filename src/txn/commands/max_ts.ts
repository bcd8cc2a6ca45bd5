/**
 * Up to where a command raises max_ts, so that storage can refuse a timestamp of the far future
 * before it is too late: max_ts never falls. Source: tikv src/storage/txn/commands.
 */
import { TS_MAX } from "../../codec/index.js";
import { shouldNotExist } from "../actions/prewrite_state.js";
import type { TxnRequest } from "../requests.js";

/** Returns the timestamp to which a request raises max_ts; 0n = it does not. */
export function raisedMaxTs(request: TxnRequest): bigint {
  switch (request.kind) {
    case "prewrite":
      return request.mutations.some(shouldNotExist) ? request.startTs : 0n;
    case "acquirePessimisticLock": {
      const { checkExistence, forUpdateTs, keys, returnValues } = request;
      const reads = returnValues || checkExistence || keys.some((key) => key.shouldNotExist);
      return reads ? forUpdateTs : 0n;
    }
    case "checkTxnStatus": {
      const { callerStartTs, currentTs, lockTs } = request;
      return [callerStartTs, currentTs].reduce(
        (most, ts) => (ts !== TS_MAX && ts > most ? ts : most),
        lockTs,
      );
    }
    case "checkSecondaryLocks":
    case "cleanup":
      return request.startTs;
    default:
      return 0n;
  }
}
