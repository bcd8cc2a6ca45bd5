/** The configuration of the placement driver: PD's keys and defaults. */
import { LOG_FIELDS } from "./log.js";
import { ENGINE_BINDINGS } from "./names.js";
import {
  addresses,
  bool,
  duration,
  int,
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
  "replication.max-replicas": int(1, 1, 64, "Replicas of a region. PD's default is 3."),
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
  if (values["client-urls"].length > 1) {
    const text = `client-urls: given ${values["client-urls"].length} URLs, expected one`;
    problems.push({ where: where("client-urls"), text });
  }
  return problems;
}
