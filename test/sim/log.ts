/** Log lines of production code, shown on request: SIM_LOG=1. They are no part of the trace. */
import { errorMessage, type LogFields, type Logger, NULL_LOGGER } from "../../src/base/index.js";
import type { SimLoop } from "./loop.js";

/** Returns the logger of a machine. */
export function machineLogger(name: string, loop: SimLoop): Logger {
  if (process.env.SIM_LOG === undefined) return NULL_LOGGER;
  const write =
    (level: string) =>
    (message: string, fields?: LogFields, error?: unknown): void => {
      const at = (loop.nowUs / 1e6).toFixed(6);
      const cause = error === undefined ? "" : errorMessage(error);
      const show = (_key: string, value: unknown): unknown =>
        typeof value === "bigint" ? `${value}` : value;
      console.log(
        `${at} ${name} ${level} ${message} ${JSON.stringify(fields ?? {}, show)}${cause}`,
      );
    };
  const logger: Logger = {
    debug: write("D"),
    info: write("I"),
    warn: write("W"),
    error: write("E"),
    child: () => logger,
  };
  return logger;
}
