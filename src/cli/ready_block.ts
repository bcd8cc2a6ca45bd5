/** The one block on the terminal that ends a start: where everything is and how to try it. */
import { VERSION } from "../base/index.js";
import type { ReadyInfo, UpInfo } from "../node/index.js";

const IN_MEMORY = "in memory, gone with the process";

/** Returns the block; `seconds` is the time from the start of the process to the first request. */
export function readyBlock(info: ReadyInfo, seconds: number): string {
  const rows: (readonly [string, string])[] = [];
  if (info.pd !== null) rows.push(["PD", info.pd]);
  if (info.store !== null) rows.push(["store", info.store]);
  if (info.status !== null) rows.push(["status", `http://${info.status}/status`]);
  rows.push(["data", info.data_dir === "" ? IN_MEMORY : info.data_dir]);
  if (info.engine !== null) rows.push(["engine", info.engine]);
  if (info.pd !== null && info.store !== null) {
    rows.push(["try it", `npm run rutile -- ctl --pd-endpoints ${info.pd} put hello world`]);
  } else if (info.pd !== null) {
    rows.push(["try it", `npm run rutile -- store --pd-endpoints ${info.pd}`]);
  }
  return block(rows, seconds);
}

/** Returns the block of `rutile up`. */
export function upBlock(info: UpInfo, seconds: number): string {
  const stores = info.stores.map(({ name, status, store }): readonly [string, string] => {
    return [name, status === null ? store : `${store.padEnd(18)}http://${status}/status`];
  });
  const rows: (readonly [string, string])[] = [["PD", info.pd as string], ...stores];
  rows.push(["data", info.data_dir === "" ? IN_MEMORY : info.data_dir]);
  if (info.engine !== null) rows.push(["engine", info.engine]);
  if (info.test_api !== null) rows.push(["test api", `http://${info.test_api}/cluster`]);
  rows.push(["try it", `npm run rutile -- ctl --pd-endpoints ${info.pd} put hello world`]);
  return block(rows, seconds);
}

function block(rows: readonly (readonly [string, string])[], seconds: number): string {
  const width = Math.max(8, ...rows.map(([name]) => name.length + 1));
  const lines = rows.map(([name, value]) => `  ${name.padEnd(width)}${value}`);
  return [`Rutile ${VERSION} is ready after ${seconds.toFixed(2)} s`, ...lines].join("\n");
}
