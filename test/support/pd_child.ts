/**
 * A PD in a process of its own, to be killed: `node pd_child.js DATA_DIR CLOCK_OFFSET_MS`.
 * Prints "READY address cluster_id", then serves until it is ended.
 */
import { errorMessage, NULL_LOGGER, NULL_METRICS } from "../../src/base/index.js";
import { openEngine } from "../../src/engine/index.js";
import { PD_DEFAULTS, startPd } from "../../src/pd/index.js";

const [dataDir = "", offset = "0"] = process.argv.slice(2);
const offsetMs = Number(offset);
try {
  const pd = await startPd(
    // A narrow window, so that kills hit saves.
    { ...PD_DEFAULTS, dataDir, binding: "rocksdb", port: 0, tsoSaveIntervalMs: 60 },
    {
      openEngine,
      clock: { nowMs: () => Date.now() + offsetMs, monotonicMs: () => performance.now() },
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
} catch (error) {
  console.error(errorMessage(error));
  process.exit(1);
}
