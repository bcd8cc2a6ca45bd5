/**
 * `[raftstore]` and `[coprocessor]`: TiKV's keys for Raft, the batch systems, splits and snapshots,
 * the defaults that follow other keys, and the relations that must hold. Not here: keys that a
 * store without replicas has too (tikv.ts).
 */
import { formatDuration, formatSize } from "../base/index.js";
import { bool, duration, int, size, type Values } from "./schema.js";
import type { Problem } from "./toml.js";
import type { Validated } from "./validate.js";

const POOL_MAX = 64;
const COUNT_MAX = 1_000_000_000;
/** As in TiKV. */
const BATCH_MAX = 10_240;

export const RAFTSTORE_FIELDS = {
  "raftstore.raft-base-tick-interval": duration("1s", "1ms", "1h", "Length of a Raft tick."),
  "raftstore.raft-heartbeat-ticks": int(2, 1, 1000, "Ticks between two heartbeats of a leader."),
  "raftstore.raft-election-timeout-ticks": int(
    10,
    2,
    10_000,
    "Ticks without a leader before an election; each peer waits up to twice as long, at random.",
  ),
  "raftstore.raft-store-max-leader-lease": duration(
    "9s",
    "1ms",
    "1d",
    "How long a leader serves reads after a quorum confirmed it. At most the election timeout less " +
      "one tick; where that is shorter than the default, it is the default.",
  ),
  "raftstore.raft-max-size-per-msg": size("1MiB", "1B", "3GiB", "Entries in one append message."),
  "raftstore.raft-max-inflight-msgs": int(
    256,
    1,
    16_384,
    "Append messages to one peer without an answer.",
  ),
  "raftstore.raft-log-gc-tick-interval": duration("3s", "1ms", "1d", "How often logs are cut."),
  "raftstore.raft-log-gc-threshold": int(
    50,
    1,
    COUNT_MAX,
    "Entries on all replicas worth cutting.",
  ),
  "raftstore.raft-log-gc-count-limit": int(
    196_608,
    1,
    COUNT_MAX,
    "Applied entries above which the log is cut although a replica lacks some; it then needs a " +
      "snapshot. The default follows coprocessor.region-split-size: 3/4 of it in KiB.",
  ),
  "raftstore.raft-log-gc-size-limit": size(
    "192MiB",
    "1B",
    "1TiB",
    "The same in bytes; the default is 3/4 of coprocessor.region-split-size.",
  ),
  "raftstore.raft-log-reserve-max-ticks": int(
    6,
    1,
    COUNT_MAX,
    "Log cuts to leave out before fewer entries than the threshold are cut.",
  ),
  "raftstore.split-region-check-tick-interval": duration(
    "10s",
    "1ms",
    "1d",
    "How often Regions are checked for a split.",
  ),
  "raftstore.region-split-check-diff": size(
    "16MiB",
    "1B",
    "1TiB",
    "Growth after which a Region is checked; the default is 1/16 of coprocessor.region-split-size.",
  ),
  "raftstore.right-derive-when-split": bool(
    true,
    "Whether the right-most part of a split keeps the id, else the left-most.",
  ),
  "raftstore.peer-stale-state-check-interval": duration(
    "5m",
    "1ms",
    "1d",
    "How often a peer checks whether its leader is missing.",
  ),
  "raftstore.abnormal-leader-missing-duration": duration(
    "10m",
    "1ms",
    "7d",
    "After this time without a leader a peer asks the other peers whether it was removed.",
  ),
  "raftstore.max-leader-missing-duration": duration(
    "2h",
    "1ms",
    "30d",
    "After this time without a leader a peer asks PD.",
  ),
  "raftstore.max-peer-down-duration": duration(
    "10m",
    "1ms",
    "30d",
    "Silence after which a peer is reported to PD as down.",
  ),
  "raftstore.leader-transfer-max-log-lag": int(
    128,
    1,
    COUNT_MAX,
    "Entries a peer may lack and still be handed the leadership.",
  ),
  "raftstore.messages-per-tick": int(4096, 1, COUNT_MAX, "Messages of one Region in one round."),
  "raftstore.notify-capacity": int(
    40_960,
    1,
    COUNT_MAX,
    "Messages that wait for one Region, above which requests are answered with ServerIsBusy.",
  ),
  "raftstore.store-pool-size": int(2, 1, POOL_MAX, "Share of the turns that Raft gets."),
  "raftstore.store-max-batch-size": int(256, 1, BATCH_MAX, "Regions in one round of Raft."),
  "raftstore.store-reschedule-duration": duration(
    "5s",
    "1ms",
    "1h",
    "Time in the round after which a busy Region goes behind the others.",
  ),
  "raftstore.apply-pool-size": int(2, 1, POOL_MAX, "Share of the turns that applying gets."),
  "raftstore.apply-max-batch-size": int(256, 1, BATCH_MAX, "Regions in one round of applying."),
  "raftstore.apply-reschedule-duration": duration(
    "5s",
    "1ms",
    "1h",
    "As store-reschedule-duration.",
  ),
  "raftstore.apply-yield-write-size": size("32KiB", "1B", "1GiB", "The same in bytes written."),
  "coprocessor.region-split-size": size("256MiB", "1B", "1TiB", "Size of the parts of a split."),
  "coprocessor.region-max-size": size(
    "384MiB",
    "1B",
    "1TiB",
    "Size above which a Region is split; the default is 3/2 of region-split-size.",
  ),
  "coprocessor.region-split-keys": int(
    2_560_000,
    1,
    COUNT_MAX,
    "Keys of the parts of a split; the default is 10,000 for each MiB of region-split-size.",
  ),
  "coprocessor.region-max-keys": int(
    3_840_000,
    1,
    COUNT_MAX,
    "Keys above which a Region is split; the default is 3/2 of region-split-keys.",
  ),
  "coprocessor.batch-split-limit": int(10, 1, 1000, "Parts that one split adds at most."),
} as const;

type RaftValues = Values<typeof RAFTSTORE_FIELDS>;

/** Milliseconds without a leader after which a peer may campaign at the earliest. */
function electionTimeoutMs(values: RaftValues): number {
  const ticks = values["raftstore.raft-election-timeout-ticks"];
  return ticks * values["raftstore.raft-base-tick-interval"];
}

function leaseMaxMs(values: RaftValues): number {
  return electionTimeoutMs(values) - values["raftstore.raft-base-tick-interval"];
}

const KIB = 1024;
const MIB = 1024 ** 2;
const KEYS_PER_MIB = 10_000;

/** Defaults that follow another key, in an order in which each finds what it follows. */
const FOLLOWING: Partial<Record<keyof RaftValues, (values: RaftValues) => number>> = {
  "raftstore.raft-store-max-leader-lease": (v) =>
    Math.min(v["raftstore.raft-store-max-leader-lease"], leaseMaxMs(v)),
  "raftstore.raft-log-gc-count-limit": (v) =>
    Math.max(1, Math.floor((v["coprocessor.region-split-size"] * 3) / 4 / KIB)),
  "raftstore.raft-log-gc-size-limit": (v) =>
    Math.max(1, Math.floor((v["coprocessor.region-split-size"] * 3) / 4)),
  "raftstore.region-split-check-diff": (v) =>
    Math.max(1, Math.floor(v["coprocessor.region-split-size"] / 16)),
  "coprocessor.region-max-size": (v) => Math.floor((v["coprocessor.region-split-size"] * 3) / 2),
  "coprocessor.region-split-keys": (v) =>
    Math.max(1, Math.floor((v["coprocessor.region-split-size"] / MIB) * KEYS_PER_MIB)),
  "coprocessor.region-max-keys": (v) => Math.floor((v["coprocessor.region-split-keys"] * 3) / 2),
};

/**
 * Returns `values` with the defaults that follow other keys filled in. A key that the file or a flag
 * set stays as it is.
 */
export function followDefaults<V extends RaftValues>(values: V, given: ReadonlySet<string>): V {
  const filled: Record<string, unknown> = { ...values };
  for (const [key, follow] of Object.entries(FOLLOWING)) {
    if (!given.has(key)) filled[key] = follow(filled as RaftValues);
  }
  return filled as V;
}

interface Relation {
  /** The key that the problem stands under. */
  readonly key: keyof RaftValues;
  readonly holds: (values: RaftValues) => boolean;
  readonly expected: (values: RaftValues) => string;
}

/** `key` is at most `bound`. */
function atMost(key: keyof RaftValues, bound: keyof RaftValues): Relation {
  return {
    key,
    holds: (v) => Number(v[key]) <= Number(v[bound]),
    expected: (v) => `at most ${bound}, which is ${show(bound, v)}`,
  };
}

function show(key: keyof RaftValues, values: RaftValues): string {
  const value = values[key];
  if (/-(interval|duration|lease)$/.test(key)) return formatDuration(Number(value));
  return /-(size|size-limit|check-diff)$/.test(key) ? formatSize(Number(value)) : String(value);
}

const TICKS = "raftstore.raft-election-timeout-ticks";

const RELATIONS: readonly Relation[] = [
  {
    key: TICKS,
    holds: (v) => v[TICKS] > v["raftstore.raft-heartbeat-ticks"],
    expected: (v) =>
      `more than raftstore.raft-heartbeat-ticks, which is ${v["raftstore.raft-heartbeat-ticks"]}`,
  },
  {
    key: "raftstore.raft-store-max-leader-lease",
    holds: (v) => v["raftstore.raft-store-max-leader-lease"] <= leaseMaxMs(v),
    expected: (v) =>
      `at most ${formatDuration(leaseMaxMs(v))}: ${TICKS} less one, times ` +
      "raftstore.raft-base-tick-interval",
  },
  {
    key: "raftstore.peer-stale-state-check-interval",
    holds: (v) => v["raftstore.peer-stale-state-check-interval"] >= 2 * electionTimeoutMs(v),
    expected: (v) =>
      `at least twice the election timeout, ${formatDuration(2 * electionTimeoutMs(v))}`,
  },
  atMost("raftstore.peer-stale-state-check-interval", "raftstore.abnormal-leader-missing-duration"),
  atMost("raftstore.abnormal-leader-missing-duration", "raftstore.max-leader-missing-duration"),
  atMost("raftstore.region-split-check-diff", "coprocessor.region-split-size"),
  atMost("coprocessor.region-split-size", "coprocessor.region-max-size"),
  atMost("coprocessor.region-split-keys", "coprocessor.region-max-keys"),
];

/** Returns every relation that `values`, with its defaults filled in, does not keep. */
export function checkRaftstore(
  values: RaftValues,
  where: Validated<typeof RAFTSTORE_FIELDS>["where"],
): Problem[] {
  return RELATIONS.filter(({ holds }) => !holds(values)).map(({ expected, key }) => ({
    where: where(key),
    text: `${key}: given ${show(key, values)}, expected ${expected(values)}`,
  }));
}
