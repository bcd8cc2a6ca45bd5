/**
 * Options of the embedded PD, with defaults. The config folder maps PD's configuration keys (named
 * in the comments) to them.
 */
import type { EngineOptions } from "../../engine/index.js";
import { FRONT_DEFAULTS } from "../../net/index.js";
import { SCHEDULE_DEFAULTS, type ScheduleConfig } from "../schedule/index.js";
import { TSO_SAVE_INTERVAL_MS, TSO_UPDATE_INTERVAL_MS } from "../tso/index.js";

/** Bounds; tests shorten them. */
export interface PdLimits {
  /** Open connections on the client port. */
  readonly connectionsMax: number;
  /** Milliseconds within which a connection must say what it speaks. */
  readonly sniffTimeoutMs: number;
  /** Largest gRPC message taken, bytes. */
  readonly messageSizeMaxBytes: number;
  /** Concurrent HTTP/2 streams a connection. */
  readonly concurrentStreams: number;
  /** Timestamp requests that may wait, over all streams; more are refused. */
  readonly tsoPendingMax: number;
  /** Requests of one stream that may wait for answers before it is not read from. */
  readonly streamPendingMax: number;
  /** Milliseconds to wait for the old address of a store that moves. */
  readonly probeTimeoutMs: number;
  /** Milliseconds that running calls get at stop. */
  readonly shutdownGraceMs: number;
}

export interface PdOptions {
  /** `name` of this member. */
  readonly name: string;
  /** `data-dir`; "" only with the memory binding. */
  readonly dataDir: string;
  /** `engine.binding` */
  readonly binding: EngineOptions["binding"];
  /** Host and port of `client-urls`; port 0 takes a free one. */
  readonly host: string;
  readonly port: number;
  /** `advertise-client-urls`; empty = http://host:port as really bound. */
  readonly advertiseClientUrls: readonly string[];
  /** `advertise-peer-urls`; shown only. Empty = the client URLs: there is no peer port yet. */
  readonly advertisePeerUrls: readonly string[];
  /** `replication.*` and `schedule.*` */
  readonly schedule: ScheduleConfig;
  /** `tso-save-interval`, milliseconds. */
  readonly tsoSaveIntervalMs: number;
  /** `tso-update-physical-interval`, milliseconds. */
  readonly tsoUpdateIntervalMs: number;
  readonly limits: PdLimits;
}

const MIB = 1024 * 1024;

export const PD_LIMITS: PdLimits = {
  ...FRONT_DEFAULTS,
  messageSizeMaxBytes: 8 * MIB,
  concurrentStreams: 1024,
  tsoPendingMax: 10_000,
  streamPendingMax: 1024,
  probeTimeoutMs: 1000,
  shutdownGraceMs: 3000,
};

export const PD_DEFAULTS: PdOptions = {
  name: "pd",
  dataDir: "./rutile-data/pd",
  binding: "auto",
  host: "127.0.0.1",
  port: 2379,
  advertiseClientUrls: [],
  advertisePeerUrls: [],
  schedule: SCHEDULE_DEFAULTS,
  tsoSaveIntervalMs: TSO_SAVE_INTERVAL_MS,
  tsoUpdateIntervalMs: TSO_UPDATE_INTERVAL_MS,
  limits: PD_LIMITS,
};

/** The version whose semantics and defaults this PD follows; what stores and clients are told. */
export const PD_VERSION = "8.5.0";
