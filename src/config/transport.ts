/** `[server]` keys of the traffic between stores: Raft messages and snapshots. TiKV's defaults. */
import { duration, int, size } from "./schema.js";

export const TRANSPORT_FIELDS = {
  "server.grpc-raft-conn-num": int(1, 1, 64, "Connections for Raft messages to each store."),
  "server.raft-client-queue-size": int(
    16_384,
    1,
    10_000_000,
    "Raft messages that wait for one connection; more are dropped, and Raft sends them again.",
  ),
  "server.raft-msg-max-batch-size": int(256, 1, 100_000, "Raft messages in one frame."),
  "server.raft-client-initial-reconnect-backoff": duration(
    "1s",
    "1ms",
    "1m",
    "First wait before a broken connection to a store is made anew.",
  ),
  "server.raft-client-max-backoff": duration("5s", "1ms", "10m", "Longest such wait."),
  "server.max-grpc-send-msg-len": size("10MiB", "1MiB", "2GiB", "Bytes of one frame of messages."),
  "server.heavy-load-threshold": int(
    75,
    1,
    100,
    "Utilisation of the event loop, in percent, above which frames wait for more messages.",
  ),
  "server.heavy-load-wait-duration": duration(
    "0s",
    "0s",
    "1s",
    "How long they wait then; 0s = not at all, as in TiKV.",
  ),
  "server.concurrent-send-snap-limit": int(32, 1, 1024, "Snapshots sent at the same time."),
  "server.concurrent-recv-snap-limit": int(32, 1, 1024, "Snapshots received at the same time."),
  "server.snap-io-max-bytes-per-sec": size(
    "100MiB",
    "1KiB",
    "1TiB",
    "Bytes a second of all snapshots that are sent, or received.",
  ),
  "server.snap-max-total-size": size(
    "0B",
    "0B",
    "1PiB",
    "Bytes that received snapshots may take on disk together; 0B = no limit.",
  ),
} as const;
