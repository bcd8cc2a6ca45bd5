/** The one block on the terminal that ends a start: where everything is and how to try it. */
import { VERSION } from "../base/index.js";
import type { ReadyInfo } from "../node/index.js";

/** Returns the block; `seconds` is the time from the start of the process to the first request. */
export function readyBlock(info: ReadyInfo, seconds: number): string {
  const rows: (readonly [string, string])[] = [];
  if (info.pd !== null) rows.push(["PD", info.pd]);
  if (info.store !== null) rows.push(["store", info.store]);
  if (info.status !== null) rows.push(["status", `http://${info.status}/status`]);
  rows.push(["data", info.data_dir === "" ? "in memory, gone with the process" : info.data_dir]);
  if (info.engine !== null) rows.push(["engine", info.engine]);
  if (info.pd !== null && info.store !== null) {
    rows.push(["try it", `npm run rutile -- ctl --pd-endpoints ${info.pd} put hello world`]);
  } else if (info.pd !== null) {
    rows.push(["try it", `npm run rutile -- store --pd-endpoints ${info.pd}`]);
  }
  const lines = rows.map(([name, value]) => `  ${name.padEnd(8)}${value}`);
  return [`Rutile ${VERSION} is ready after ${seconds.toFixed(2)} s`, ...lines].join("\n");
}
