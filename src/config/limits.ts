/**
 * `[limits]`: bounds against hostile or broken clients that TiKV has no keys for. They are keys so
 * that a test, or an operator under attack, can shorten them.
 */
import { LIMITS } from "../base/index.js";
import { duration, int, size } from "./schema.js";

export const LIMIT_FIELDS = {
  "limits.connections-max": int(10_000, 1, 1_000_000, "Open connections; more are closed at once."),
  "limits.sniff-timeout": duration("1s", "10ms", "1m", "Time in which a connection must speak."),
  "limits.header-list-size": size("16KiB", "1KiB", "1MiB", "Headers of one request."),
  "limits.receive-message-size": size(
    "0B",
    "0B",
    "2GiB",
    "Largest request message; 0B = no limit but the memory, as in TiKV.",
  ),
  "limits.request-timeout": duration("30s", "10ms", "1h", "Time for one request to arrive whole."),
  "limits.batch-requests-max": int(
    LIMITS.batchCommandsRequestsMax,
    1,
    1_000_000,
    "Commands in one BatchCommands message.",
  ),
  "limits.batch-stream-inflight-max": int(
    16_384,
    1,
    10_000_000,
    "Unanswered commands of one BatchCommands stream, above which it is not read.",
  ),
  "limits.batch-total-inflight-max": int(
    131_072,
    1,
    100_000_000,
    "Unanswered commands of all BatchCommands streams.",
  ),
  "limits.stream-buffered-size": size(
    "4MiB",
    "1KiB",
    "1GiB",
    "Responses waiting for a slow reader, above which its stream is not read.",
  ),
  "limits.connection-buffered-size": size(
    "256MiB",
    "1KiB",
    "64GiB",
    "Responses that a connection leaves unread, above which its requests are refused.",
  ),
  "limits.slow-reader-timeout": duration("1m", "10ms", "1h", "How long that may last."),
  "limits.reset-burst": int(1000, 1, 1_000_000, "Stream resets of one connection at once."),
  "limits.reset-rate": int(33, 1, 1_000_000, "Stream resets of one connection per second."),
} as const;
