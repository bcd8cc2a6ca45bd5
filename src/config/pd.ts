/** The configuration of the placement driver: PD's keys and defaults. */
import { LOG_FIELDS } from "./log.js";
import { ENGINE_BINDINGS } from "./names.js";
import {
  addresses,
  bool,
  duration,
  float,
  int,
  names,
  oneOf,
  text,
  unsupportedPath,
  type Values,
} from "./schema.js";
import type { Problem } from "./toml.js";
import type { Validated } from "./validate.js";

export const PD_FIELDS = {
  name: text("pd", "Name of this member."),
  "data-dir": text("./rutile-data/pd", "Directory of PD's data."),
  "client-urls": addresses(
    ["127.0.0.1:2379"],
    "Where gRPC, the etcd API and HTTP are served, on one port; port 0 takes any free port.",
    "urls",
  ),
  "advertise-client-urls": addresses([], "What clients connect to; empty = client-urls.", "urls"),
  "tso-save-interval": duration("5s", "100ms", "1h", "Width of the saved timestamp window."),
  "tso-update-physical-interval": duration("50ms", "1ms", "10s", "Step of the physical clock."),
  "schedule.max-store-down-time": duration("30m", "1s", "365d", "Silence before a store is Down."),
  "schedule.leader-schedule-limit": int(4, 0, 1_000_000, "Leader transfers at the same time."),
  "schedule.region-schedule-limit": int(2048, 0, 1_000_000, "Balancing moves at the same time."),
  "schedule.replica-schedule-limit": int(64, 0, 1_000_000, "Replica repairs at the same time."),
  "schedule.patrol-region-interval": duration(
    "10ms",
    "1ms",
    "1h",
    "Between two batches of regions that are checked; a round takes a second at least.",
  ),
  "schedule.low-space-ratio": float(0.8, 0, 1, "A disk that is fuller takes no more regions."),
  "schedule.tolerant-size-ratio": float(
    0,
    0,
    1_000_000,
    "Regions by which stores may differ before they are balanced; 0 = by the number of regions.",
  ),
  "schedule.enable-joint-consensus": bool(true, "Changes several peers in one step."),
  "schedule.max-snapshot-count": int(64, 0, 1_000_000, "Snapshots at a store that is chosen."),
  "schedule.max-pending-peer-count": int(64, 0, 1_000_000, "Lagging peers of a chosen store."),
  "replication.max-replicas": int(3, 1, 64, "Replicas of a region, once there are enough stores."),
  "replication.location-labels": names("Store labels that say where a store is, broadest first."),
  "replication.isolation-level": text(
    "",
    "A location label whose value no two replicas of a region share, whatever is missing then.",
  ),
  "gc.enable": bool(
    true,
    "PD leads GC of transactional data itself, until somebody else moves a safe point.",
  ),
  "gc.run-interval": duration("10m", "100ms", "365d", "Between two rounds of PD's own GC leader."),
  "gc.life-time": duration(
    "10m",
    "100ms",
    "365d",
    "How long a version can be read after it was overwritten, if PD leads GC.",
  ),
  ...LOG_FIELDS,
  "engine.binding": oneOf(
    ENGINE_BINDINGS,
    "auto",
    "auto = librocksdb where the library loads, else the npm package; memory keeps no data.",
  ),
  "security.redact-info-log": bool(false, "Writes ? instead of keys into the log."),
  "security.cacert-path": unsupportedPath("TLS is not supported by this version."),
  "security.cert-path": unsupportedPath("TLS is not supported by this version."),
  "security.key-path": unsupportedPath("TLS is not supported by this version."),
} as const;

export type PdConfig = Values<typeof PD_FIELDS>;

/** Relations between the keys of PD. Returns all that do not hold. */
export function checkPd(checked: Validated<typeof PD_FIELDS>): Problem[] {
  const { values, where } = checked;
  const problems: Problem[] = [];
  const advertised = values["advertise-client-urls"];
  const key = advertised.length === 0 ? "client-urls" : "advertise-client-urls";
  for (const one of values[key]) {
    if (!/^(0\.0\.0\.0|\[::\]):/.test(one)) continue;
    const text =
      `${key}: given "http://${one}", which no client can connect to; set ` +
      "advertise-client-urls (--advertise-client-urls) to this host's name or IP";
    problems.push({ where: where(key), text });
  }
  const level = values["replication.isolation-level"];
  if (level !== "" && !values["replication.location-labels"].includes(level)) {
    const text = `replication.isolation-level: given "${level}", which is no location label`;
    problems.push({ where: where("replication.isolation-level"), text });
  }
  if (values["client-urls"].length > 1) {
    const text = `client-urls: given ${values["client-urls"].length} URLs, expected one`;
    problems.push({ where: where("client-urls"), text });
  }
  return problems;
}
