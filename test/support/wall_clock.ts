/**
 * Jumps of the wall clock of all processes that are started while one is there, by libfaketime; the
 * monotonic clock is left alone. Needs the system's package libfaketime.
 */
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cluster } from "../../src/testing/index.js";
import { tmpDir } from "./tmp.js";
import { within } from "./within.js";

const LIBRARIES = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/** The library; undefined where it is not installed. */
export const FAKETIME: string | undefined = LIBRARIES.find(existsSync);

/** Headers tell whole seconds, and node caches them for one. */
const COARSE_SECONDS = 2.5;
const LIMIT_MS = 30_000;

/** Returns by how many seconds the wall clock of an HTTP server is off; undefined: no answer. */
async function offsetAt(address: string): Promise<number | undefined> {
  try {
    const answer = await fetch(`http://${address}/`);
    await answer.arrayBuffer();
    const theirs = Date.parse(answer.headers.get("date") ?? "");
    return (theirs - Date.now()) / 1000;
  } catch {
    return undefined;
  }
}

export class WallClock {
  readonly #file = join(tmpDir("faketime"), "offset");
  readonly #env: Readonly<Record<string, string>>;
  #seconds = 0;

  /** `library`: see FAKETIME. */
  constructor(library: string) {
    this.#env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
    this.jump(0);
    Object.assign(process.env, this.#env);
  }

  /** Sets how far the wall clock is off. */
  jump(seconds: number): void {
    this.#seconds = seconds;
    // In one step: a process that reads half a file would have another time for a moment.
    writeFileSync(`${this.#file}.new`, `${seconds < 0 ? "" : "+"}${seconds}`);
    renameSync(`${this.#file}.new`, this.#file);
  }

  /**
   * Waits until PD and all stores, which all have to run, tell the time that was set, and returns by
   * how many seconds each is off, PD first. Differences below 2.5 s cannot be told.
   */
  async observed(cluster: Cluster): Promise<number[]> {
    const stores = cluster.stores.map(({ statusAddress }) => statusAddress);
    const addresses = [...cluster.pdEndpoints, ...stores.filter((one) => one !== null)];
    let seen: (number | undefined)[] = [];
    await within(LIMIT_MS, `clocks off by ${this.#seconds} s`, async () => {
      seen = await Promise.all(addresses.map(offsetAt));
      const isNear = (one: number | undefined): boolean =>
        one !== undefined && Math.abs(one - this.#seconds) < COARSE_SECONDS;
      return seen.length === cluster.stores.length + 1 && seen.every(isNear);
    });
    return seen.map((one) => Math.round(one as number));
  }

  /** Later processes have the machine's clock. */
  restore(): void {
    for (const name of Object.keys(this.#env)) delete process.env[name];
  }
}
