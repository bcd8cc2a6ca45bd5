/** The end of a start: the ready file, the log line, and word to the command line. */
import type { Environment } from "./environment.js";
import { type ReadyInfo, writeReadyFile } from "./ready_file.js";

/** Tells that requests are served now. */
export function announce(info: ReadyInfo, env: Environment): void {
  const { readyFile, onReady } = env.options;
  if (readyFile !== undefined) writeReadyFile(readyFile, info);
  const seconds = performance.now() / 1000;
  onReady(info, seconds);
  env.logger.info("ready", { ...info, seconds: Number(seconds.toFixed(3)) });
}
