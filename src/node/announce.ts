/** The end of a start: the ready file, the log line, and word to the command line. */
import type { Environment } from "./environment.js";
import { type ReadyInfo, writeReadyFile } from "./ready_file.js";

/**
 * Runs `start` and tells what it returns, once requests are served. A signal while it runs is no
 * failure: the stop that is under way ends the process.
 */
export async function startAndAnnounce(
  env: Environment,
  start: () => Promise<ReadyInfo>,
): Promise<void> {
  let info: ReadyInfo;
  try {
    info = await start();
  } catch (error) {
    if (env.shutdown.isRunning) return;
    throw error;
  }
  if (!env.shutdown.isRunning) announce(info, env);
}

function announce(info: ReadyInfo, env: Environment): void {
  const { readyFile, onReady } = env.options;
  if (readyFile !== undefined) writeReadyFile(readyFile, info);
  const seconds = performance.now() / 1000;
  onReady(info, seconds);
  env.logger.info("ready", { ...info, seconds: Number(seconds.toFixed(3)) });
}
