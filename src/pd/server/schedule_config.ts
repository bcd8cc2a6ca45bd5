/**
 * The keys of scheduling under PD's names: read from JSON of the HTTP API or of storage, checked,
 * and shown. Keys may carry their section ("schedule.low-space-ratio") or not, as PD allows.
 */
import { err, ok, parseDuration, type Result } from "../../base/index.js";
import type { ScheduleConfig } from "../schedule/index.js";
import { durationText } from "./http_json.js";
import type { Json } from "./json.js";

export type ConfigSection = "schedule" | "replication";
/** Values by full key, as JSON has them. */
export type ConfigChanges = Readonly<Record<string, unknown>>;

interface Key {
  readonly section: ConfigSection;
  readonly field: keyof ScheduleConfig;
  /** Returns undefined for what is no such value. */
  parse(value: unknown): ScheduleConfig[keyof ScheduleConfig] | undefined;
  show(value: ScheduleConfig[keyof ScheduleConfig]): Json;
}

const show = (value: unknown): Json => value as Json;

function number(
  section: ConfigSection,
  field: keyof ScheduleConfig,
  min: number,
  max: number,
  isWhole = true,
): Key {
  const parse = (value: unknown): number | undefined => {
    const given = typeof value === "string" && value !== "" ? Number(value) : value;
    if (typeof given !== "number" || !(given >= min && given <= max)) return undefined;
    return isWhole && !Number.isInteger(given) ? undefined : given;
  };
  return { section, field, parse, show };
}

function flag(field: keyof ScheduleConfig): Key {
  const parse = (value: unknown): boolean | undefined => {
    if (value === true || value === "true") return true;
    return value === false || value === "false" ? false : undefined;
  };
  return { section: "schedule", field, parse, show };
}

function shownDuration(ms: number): string {
  return ms < 1000 ? `${ms}ms` : durationText(ms);
}

function duration(field: keyof ScheduleConfig, minMs: number): Key {
  const parse = (value: unknown): number | undefined => {
    const ms = typeof value === "string" ? parseDuration(value) : undefined;
    return ms !== undefined && ms >= minMs ? ms : undefined;
  };
  return { section: "schedule", field, parse, show: (ms) => shownDuration(ms as number) };
}

const LABEL = /^[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9])?$/;

const KEYS: Readonly<Record<string, Key>> = {
  "max-replicas": number("replication", "maxReplicas", 1, 64),
  "location-labels": {
    section: "replication",
    field: "locationLabels",
    parse: (value) => {
      const list = typeof value === "string" ? value.split(",").filter((one) => one !== "") : value;
      const isList = Array.isArray(list) && list.every((one) => LABEL.test(String(one)));
      return isList ? list.map(String) : undefined;
    },
    show: (labels) => (labels as readonly string[]).join(","),
  },
  "isolation-level": {
    section: "replication",
    field: "isolationLevel",
    parse: (value) => (typeof value === "string" ? value : undefined),
    show,
  },
  "leader-schedule-limit": number("schedule", "leaderScheduleLimit", 0, 1e6),
  "region-schedule-limit": number("schedule", "regionScheduleLimit", 0, 1e6),
  "replica-schedule-limit": number("schedule", "replicaScheduleLimit", 0, 1e6),
  "max-store-down-time": duration("maxStoreDownTimeMs", 1000),
  "patrol-region-interval": duration("patrolRegionIntervalMs", 1),
  "low-space-ratio": number("schedule", "lowSpaceRatio", 0, 1, false),
  "tolerant-size-ratio": number("schedule", "tolerantSizeRatio", 0, 1e6, false),
  "enable-joint-consensus": flag("enableJointConsensus"),
  "max-snapshot-count": number("schedule", "maxSnapshotCount", 0, 1e6),
  "max-pending-peer-count": number("schedule", "maxPendingPeerCount", 0, 1e6),
  "enable-remove-down-replica": flag("enableRemoveDownReplica"),
  "enable-replace-offline-replica": flag("enableReplaceOfflineReplica"),
  "enable-make-up-replica": flag("enableMakeUpReplica"),
  "enable-remove-extra-replica": flag("enableRemoveExtraReplica"),
  "enable-location-replacement": flag("enableLocationReplacement"),
  "halt-scheduling": flag("haltScheduling"),
};

/** Returns a configuration with `changes` applied, or which of them is no good. */
export function changedConfig(
  config: ScheduleConfig,
  changes: ConfigChanges,
): Result<ScheduleConfig, string> {
  const next: Record<string, unknown> = { ...config };
  for (const [given, value] of Object.entries(changes)) {
    const name = given.replace(/^(schedule|replication)\./, "");
    const key = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined;
    if (key === undefined) return err(`config item ${given} not found`);
    const parsed = key.parse(value);
    if (parsed === undefined) return err(`${given}: ${JSON.stringify(value)} is no such value`);
    next[key.field] = parsed;
  }
  const changed = next as unknown as ScheduleConfig;
  const { isolationLevel, locationLabels } = changed;
  if (isolationLevel !== "" && !locationLabels.includes(isolationLevel)) {
    return err(`isolation-level ${isolationLevel} is none of the location-labels`);
  }
  return ok(changed);
}

/** Returns the keys of a section as PD shows them. */
export function configSection(
  config: ScheduleConfig,
  section: ConfigSection,
): { readonly [key: string]: Json } {
  const shown: Record<string, Json> = {};
  for (const [name, key] of Object.entries(KEYS)) {
    if (key.section === section) shown[name] = key.show(config[key.field]);
  }
  return shown;
}
