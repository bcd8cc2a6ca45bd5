/**
 * Restart of a store with 1,000 regions, in this process, on disk: from the opening of the engine
 * until every region serves. Only voters of their regions: no election has to wait for a timeout.
 */
import { librocksdbPresent } from "../../src/engine/index.js";
import type { BenchContext, Report } from "../harness.js";
import { figure } from "../server/loads.js";
import { BenchStores, propose } from "./stores.js";

const VALUE = new Uint8Array(256).fill(7);
const PUTS_A_REGION = 10;
const ROUNDS = 3;

async function fill(stores: BenchStores, regions: number): Promise<void> {
  const puts: Promise<void>[] = [];
  for (let index = 0; index < regions; index++) {
    for (let i = 0; i < PUTS_A_REGION; i++) {
      puts.push(
        new Promise((resolve, reject) => {
          propose(stores, index, i, VALUE, (ok) => (ok ? resolve() : reject(new Error("refused"))));
        }),
      );
    }
  }
  await Promise.all(puts);
}

/** Bench entry. */
export async function run({ mode }: BenchContext): Promise<Report[]> {
  if (!librocksdbPresent()) {
    console.log("raft/restart: SKIP, needs librocksdb");
    return [];
  }
  const regions = mode === "real" ? 1000 : 20;
  const stores = await BenchStores.open({ stores: 1, regions, engine: "librocksdb", tickMs: 1000 });
  try {
    await fill(stores, regions);
    const times: number[] = [];
    for (let i = 0; i < (mode === "real" ? ROUNDS : 1); i++) times.push(await stores.restart());
    return [figure(`restart of ${regions} regions`, "librocksdb", times, "-", "ms", "lower")];
  } finally {
    await stores.close();
  }
}
