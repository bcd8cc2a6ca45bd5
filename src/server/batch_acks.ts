/**
 * Writes of a turn to one region that wait until they are applied: who is to be answered, without
 * an object for each. Rows are (stream, id low, id high, cmd). Hot path.
 */
import { err, type Logger } from "../base/index.js";
import { type kvrpcpb, kvrpcpb as messages } from "../pb/index.js";
import type { Reply, StorageError } from "../storage/index.js";
import type { BatchStream } from "./batch_stream.js";
import { regionErrorToProto } from "./error_map.js";

export const ACK_STRIDE = 4;

/** Writes that are answered together. */
export interface AckBatch {
  readonly streams: readonly BatchStream[];
  readonly rows: Uint32Array;
  /** Rows answered so far. */
  done: number;
  /** The response message of all of them; empty = success. */
  readonly body: Uint8Array;
}

/** The same bytes for all six write responses: region_error is field 1, error is field 2. */
function failureBody(error: StorageError): Uint8Array {
  const message: kvrpcpb.IRawPutResponse =
    error.type === "region"
      ? { regionError: regionErrorToProto(error.error) }
      : { error: error.message };
  return messages.RawPutResponse.encode(message).finish();
}

const SUCCESS = new Uint8Array(0);

/**
 * Returns the batch to answer once `written` is settled. A write that rejects is a bug: nothing is
 * acknowledged.
 */
export async function ackWhenWritten(
  written: Promise<Reply<void>>,
  streams: readonly BatchStream[],
  rows: Uint32Array,
  logger: Logger,
): Promise<AckBatch> {
  const reply = await written.catch((error): Reply<void> => {
    logger.error("write of a batch failed", { requests: rows.length / ACK_STRIDE }, error);
    return err({ type: "key", message: "the storage engine failed" });
  });
  return { streams, rows, done: 0, body: reply.ok ? SUCCESS : failureBody(reply.error) };
}
