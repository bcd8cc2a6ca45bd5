/**
 * A worker in place of rocksdb_worker.ts that answers nothing. With RUTILE_TEST_WORKER=throw in its
 * environment it ends with an error at the first message.
 */
import { parentPort } from "node:worker_threads";

parentPort?.on("message", () => {
  if (process.env.RUTILE_TEST_WORKER === "throw") {
    throw new Error("thrown by the test's worker");
  }
});
