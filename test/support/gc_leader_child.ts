/**
 * A PD with its GC leader in a process of its own, to be killed between two steps of a round:
 * `node gc_leader_child.js DATA_DIR MODE`. With "hang" a round stops after its locks are resolved and
 * prints RESOLVED; with "run" it goes through and prints "ROUND kind".
 */
import { errorMessage, NULL_LOGGER, NULL_METRICS } from "../../src/base/index.js";
import { openEngine } from "../../src/engine/index.js";
import { GcLeader } from "../../src/node/gc_leader.js";
import { PD_DEFAULTS, startPd } from "../../src/pd/index.js";

const [dataDir = "", mode = "run"] = process.argv.slice(2);
const pd = await startPd(
  { ...PD_DEFAULTS, dataDir, binding: "rocksdb", port: 0 },
  {
    openEngine,
    clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
    logger: NULL_LOGGER,
    metrics: NULL_METRICS,
    onFatal: (error) => {
      console.error(errorMessage(error));
      process.exit(1);
    },
    randomU32: () => 7,
  },
);
console.log(`READY ${pd.address} ${pd.clusterId}`);
const leader = new GcLeader(
  { runIntervalMs: 600_000, lifeTimeMs: 1000 },
  {
    pd: pd.gc,
    resolveLocks: async () => {
      console.log("RESOLVED");
      if (mode === "hang") await new Promise<never>(() => undefined);
      return { resolvedLocks: 0, oldestAlive: undefined };
    },
    logger: NULL_LOGGER,
  },
);
process.stdin.once("data", () => {
  leader.round().then(
    ({ kind }) => console.log(`ROUND ${kind}`),
    (error: unknown) => console.error(errorMessage(error)),
  );
});
