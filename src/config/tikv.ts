/**
 * The configuration of a store: TiKV's keys and defaults, with the differences told in each doc.
 */
import { totalmem } from "node:os";
import { LIMIT_FIELDS } from "./limits.js";
import { LOG_FIELDS } from "./log.js";
import { API_VERSIONS, ENGINE_BINDINGS } from "./names.js";
import { checkRaftstore, followDefaults, RAFTSTORE_FIELDS } from "./raftstore.js";
import {
  address,
  addresses,
  bool,
  duration,
  int,
  intOf,
  labels,
  oneOf,
  size,
  text,
  unsupportedPath,
  type Values,
} from "./schema.js";
import type { Problem } from "./toml.js";
import { TRANSPORT_FIELDS } from "./transport.js";
import { TXN_FIELDS } from "./txn.js";
import type { Validated } from "./validate.js";

export const TIKV_FIELDS = {
  ...LOG_FIELDS,
  ...LIMIT_FIELDS,
  ...RAFTSTORE_FIELDS,
  ...TRANSPORT_FIELDS,
  ...TXN_FIELDS,
  "server.addr": address("127.0.0.1:20160", "Where gRPC listens; port 0 takes any free port."),
  "server.advertise-addr": address(
    "",
    "What clients connect to; empty = server.addr with the port really bound.",
    true,
  ),
  "server.status-addr": address(
    "127.0.0.1:20180",
    "Where the status page, /metrics and /config are served; empty = nowhere.",
    true,
  ),
  "server.advertise-status-addr": address("", "What PD tells others; empty = status-addr.", true),
  "server.labels": labels('Location of this store for PD, such as { zone = "z1", host = "h1" }.'),
  "server.grpc-concurrent-stream": int(1024, 1, 1_000_000, "Open streams a connection may have."),
  "server.grpc-keepalive-time": duration("10s", "1s", "1d", "Idle time before a ping is sent."),
  "server.grpc-keepalive-timeout": duration("3s", "1ms", "1h", "Wait for the ping's answer."),
  "server.graceful-shutdown-timeout": duration(
    "20s",
    "0s",
    "10m",
    "How long a stop waits for requests in flight.",
  ),
  "storage.data-dir": text("./rutile-data/store", "Directory of the store's data."),
  "storage.api-version": intOf(API_VERSIONS, 1, "1 = keys as they are; 2 = keyspaces, with TTL."),
  "storage.enable-ttl": bool(
    false,
    "Whether raw values carry an expiry. Fixed once data is written; needed by api-version 2.",
  ),
  "storage.ttl-check-poll-interval": duration(
    "12h",
    "1s",
    "365d",
    "How often a background pass deletes expired values.",
  ),
  "gc.poll-interval": duration(
    "10s",
    "10ms",
    "365d",
    "How often PD is asked up to where old versions may be deleted.",
  ),
  "storage.reserve-space": size(
    "256MiB",
    "0B",
    "1PiB",
    "Free space to keep on the disk; writes are refused below it. TiKV's default is 5GB.",
  ),
  "storage.max-key-size": size("8KiB", "1B", "64KiB", "Longest key."),
  "storage.scheduler-pending-write-threshold": size(
    "100MiB",
    "1KiB",
    "1TiB",
    "Bytes of writes in flight above which writes are answered with ServerIsBusy.",
  ),
  "storage.block-cache.capacity": size(
    "0B",
    "0B",
    "1PiB",
    "RocksDB's block cache; 0B = an eighth of the memory, at most 1GiB.",
  ),
  "rocksdb.defaultcf.write-buffer-size": size("128MiB", "64KiB", "16GiB", "One memtable."),
  "raftstore.capacity": size("0B", "0B", "1PiB", "Data a store may hold; 0B = the whole disk."),
  "raftstore.raft-entry-max-size": size("8MiB", "1KiB", "1GiB", "Largest write."),
  "raftstore.pd-heartbeat-tick-interval": duration("1m", "10ms", "1d", "Region heartbeats to PD."),
  "raftstore.pd-store-heartbeat-tick-interval": duration("10s", "10ms", "1d", "Store heartbeats."),
  "resolved-ts.enable": bool(true, "Keeps the timestamps up to which replicas answer stale reads."),
  "resolved-ts.advance-ts-interval": duration("20s", "10ms", "1d", "How often they move forward."),
  "pd.endpoints": addresses(["127.0.0.1:2379"], "PD's client addresses.", "list"),
  "pd.retry-interval": duration("300ms", "1ms", "1h", "Wait between attempts to reach PD."),
  "engine.binding": oneOf(
    ENGINE_BINDINGS,
    "auto",
    "auto = librocksdb where the library loads, else the npm package; memory keeps no data.",
  ),
  "security.redact-info-log": bool(false, "Writes ? instead of keys into the log."),
  "security.ca-path": unsupportedPath("TLS is not supported by this version."),
  "security.cert-path": unsupportedPath("TLS is not supported by this version."),
  "security.key-path": unsupportedPath("TLS is not supported by this version."),
} as const;

export type TikvConfig = Values<typeof TIKV_FIELDS>;

const GIB = 1024 ** 3;

/** Returns the block cache in bytes, with 0B resolved from the machine's memory. */
export function blockCacheBytes(config: TikvConfig): number {
  const given = config["storage.block-cache.capacity"];
  return given > 0 ? given : Math.min(GIB, Math.floor(totalmem() / 8));
}

const UNSPECIFIED = /^(0\.0\.0\.0|\[::\]|\[0*(:0*)+\]):/;

/** Relations between the keys of a store. Returns all that do not hold. */
export function checkTikv(checked: Validated<typeof TIKV_FIELDS>): Problem[] {
  const { where } = checked;
  const values = followDefaults(checked.values, checked.given);
  const problems = checkRaftstore(values, where);
  const advertise = values["server.advertise-addr"];
  const key = advertise === "" ? "server.addr" : "server.advertise-addr";
  if (UNSPECIFIED.test(values[key])) {
    const text =
      `${key}: given "${values[key]}", which no client can connect to; set ` +
      "server.advertise-addr (--advertise-addr) to this host's name or IP";
    problems.push({ where: where(key), text });
  }
  const receiveMax = values["limits.receive-message-size"];
  if (receiveMax !== 0 && receiveMax < values["server.max-grpc-send-msg-len"]) {
    const text =
      "limits.receive-message-size: must not be smaller than server.max-grpc-send-msg-len, " +
      "or this store refuses what others send it";
    problems.push({ where: where("limits.receive-message-size"), text });
  }
  if (values["storage.api-version"] === 2 && !values["storage.enable-ttl"]) {
    const text = "storage.api-version: given 2, which needs storage.enable-ttl = true";
    problems.push({ where: where("storage.api-version"), text });
  }
  if (values["storage.max-key-size"] >= values["raftstore.raft-entry-max-size"]) {
    const text = "storage.max-key-size: must be smaller than raftstore.raft-entry-max-size";
    problems.push({ where: where("storage.max-key-size"), text });
  }
  const soft = "storage.flow-control.soft-pending-compaction-bytes-limit";
  if (values[soft] > values["storage.flow-control.hard-pending-compaction-bytes-limit"]) {
    const text = `${soft}: must not be greater than the hard-pending-compaction-bytes-limit beside it`;
    problems.push({ where: where(soft), text });
  }
  if (
    values["server.addr"] === values["server.status-addr"] &&
    !/:0$/.test(values["server.addr"])
  ) {
    const text = `server.status-addr: given "${values["server.addr"]}", which is server.addr too`;
    problems.push({ where: where("server.status-addr"), text });
  }
  return problems;
}
