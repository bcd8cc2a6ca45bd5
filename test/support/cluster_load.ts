/**
 * Load on a test cluster, and what must hold afterwards: operations on a few contended keys, which
 * must be linearizable for each key, and writes of keys of their own, of which none that was
 * acknowledged may be missing. Clients do not repeat what may have been executed, so that each
 * operation takes effect at most once; without an answer it stays open.
 */
import * as assert from "uvu/assert";
import { Prng, utf8, utf8Decode } from "../../src/base/index.js";
import type { RawClient } from "../../src/client/index.js";
import { Cluster, type ClusterOptions } from "../../src/testing/index.js";
import { checkLinearizability } from "../sim/checkers/linearizability.js";
import { DONE, History, type Operation, type Outcome } from "../sim/history.js";
import { within } from "./within.js";

export interface LoadOptions {
  readonly clients?: number;
  readonly keys?: number;
  readonly seed?: bigint;
  /** Tells the keys of loads on one cluster apart. */
  readonly name?: string;
}

/** After a failure a client waits before its next operation, so that it does not spin. */
const PAUSE_MS = 20;
const OPERATION_MS = 2000;
/** One attempt of a question whether service is back. */
const PROBE_MS = 2000;
/** Longest time for a client to find the cluster. */
const CONNECT_MS = 30_000;
/** A busy machine does few operations a second. */
const REACHES_MS = 60_000;
/** Answered operations before anything goes wrong, and after the last of it. */
const OPERATIONS_BEFORE = 50;
const OPERATIONS_AFTER = 100;

const SHORT = { timeoutMs: OPERATION_MS };

const micros = (): number => Math.round(performance.now() * 1000);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const textOf = (bytes: Uint8Array | undefined): string | null =>
  bytes === undefined ? null : utf8Decode(bytes);

export class ClusterLoad {
  readonly history = new History();
  readonly #cluster: Cluster;
  readonly #keys: readonly string[];
  readonly #clients: number;
  readonly #prng: Prng;
  readonly #name: string;
  readonly #acknowledged: string[] = [];
  readonly #loops: Promise<void>[] = [];
  #isStopped = false;
  #prober: RawClient | undefined;
  #values = 0;

  constructor(cluster: Cluster, options: LoadOptions = {}) {
    const { clients = 4, keys = 6, name = "", seed = 1n } = options;
    this.#cluster = cluster;
    this.#clients = clients;
    // Spread over the alphabet: splits part them.
    const letter = (i: number): string => String.fromCharCode(97 + 4 * i);
    this.#keys = Array.from({ length: keys }, (_, i) => `${letter(i)}-key${name}`);
    this.#name = name;
    this.#prng = new Prng(seed);
  }

  /** The contended keys, in order. */
  get keys(): readonly string[] {
    return this.#keys;
  }

  /** Writes of own keys that were answered so far. */
  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  /** Starts the clients; resolves when each has had an answer. */
  async start(): Promise<void> {
    for (let i = 0; i < this.#clients; i++) {
      this.#loops.push(this.#contend(await this.#client(), i));
    }
    this.#loops.push(this.#append(await this.#client()));
    await this.back(OPERATION_MS * 10);
  }

  /** Lets the clients end by themselves. */
  abandon(): void {
    this.#isStopped = true;
  }

  /** Ends the clients and waits for their last operations. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
  }

  /**
   * Resolves with the milliseconds from now until every contended key took a write that began from
   * now on. Fails after `limitMs`.
   */
  async back(limitMs: number): Promise<number> {
    const started = performance.now();
    // It looks for the new leader by itself, as clients do; the others must not repeat anything.
    this.#prober ??= await this.#client({});
    const client = this.#prober;
    await Promise.all(
      this.#keys.map(async (key) => {
        let last: unknown;
        for (;;) {
          const done = await client.put(`${key}-probe`, "probe", { timeoutMs: PROBE_MS }).then(
            () => true,
            (error: unknown) => {
              last = error;
              return false;
            },
          );
          if (done) break;
          const waited = performance.now() - started;
          assert.ok(waited < limitMs, `${key} is not served after ${limitMs} ms: ${last}`);
          await pause(PAUSE_MS);
        }
      }),
    );
    return performance.now() - started;
  }

  /** Waits until so many operations on contended keys were answered. */
  async reaches(count: number): Promise<void> {
    await within(REACHES_MS, `${count} operations`, () => this.history.acknowledged >= count);
  }

  /** Asserts that nothing acknowledged is lost and that keys are linearizable. */
  async check(): Promise<void> {
    assert.ok(this.#acknowledged.length > 0, "own keys were written");
    await this.#readLast();
    const client = await this.#cluster.client();
    const missing: string[] = [];
    for (let i = 0; i < this.#acknowledged.length; i += 256) {
      const keys = this.#acknowledged.slice(i, i + 256);
      const values = await client.batchGet(keys);
      missing.push(...keys.filter((_, at) => values[at] === undefined));
    }
    assert.equal(missing, [], `${missing.length} of ${this.#acknowledged.length} are lost`);
    checkLinearizability(this.history.byKey());
  }

  /** Every key is read once more, after all else: a lost write is seen by nobody otherwise. */
  async #readLast(): Promise<void> {
    const client = await this.#cluster.client();
    for (const key of this.#keys) {
      const record = this.history.call(-1, key, { kind: "get" }, micros());
      const seen = textOf(await client.get(key));
      this.history.complete(record, { seen, swapped: false }, micros());
    }
  }

  /** No operation is repeated, but PD is asked until it answers: it may be cut off, or busy. */
  #client(retries: { retryBudgetMs?: number } = { retryBudgetMs: 0 }): Promise<RawClient> {
    const options = { timeoutMs: CONNECT_MS, ...retries, atomic: true };
    return within(CONNECT_MS, "a client's first answer of PD", () =>
      this.#cluster.client(options).catch(() => undefined),
    );
  }

  async #contend(client: RawClient, index: number): Promise<void> {
    const seen = new Map<string, string | null>();
    while (!this.#isStopped) {
      const key = this.#keys[this.#prng.below(this.#keys.length)] as string;
      const record = this.history.call(index, key, this.#choose(seen.get(key) ?? null), micros());
      try {
        const outcome = await run(client, key, record.operation);
        this.history.complete(record, outcome, micros());
        seen.set(key, outcome.seen);
      } catch {
        await pause(PAUSE_MS);
      }
    }
  }

  #choose(expect: string | null): Operation {
    const value = `v${this.#values++}`;
    const dice = this.#prng.below(20);
    if (dice < 9) return { kind: "get" };
    if (dice < 16) return { kind: "put", value };
    return dice < 17 ? { kind: "delete" } : { kind: "cas", expect, value };
  }

  async #append(client: RawClient): Promise<void> {
    for (let i = 0; !this.#isStopped; i++) {
      // Over the whole alphabet too, so that every region takes some.
      const key = `${String.fromCharCode(97 + (i % 26))}-own${this.#name}-${i}`;
      try {
        await client.put(key, `own ${i}`, SHORT);
        this.#acknowledged.push(key);
      } catch {
        await pause(PAUSE_MS);
      }
    }
  }
}

async function run(client: RawClient, key: string, operation: Operation): Promise<Outcome> {
  switch (operation.kind) {
    case "get":
      return { seen: textOf(await client.get(key, SHORT)), swapped: false };
    case "put":
      await client.put(key, operation.value, SHORT);
      return DONE;
    case "delete":
      await client.delete(key, SHORT);
      return DONE;
    case "cas": {
      const expect = operation.expect === null ? undefined : utf8(operation.expect);
      const { value } = operation;
      const { previous, swapped } = await client.compareAndSwap(key, expect, value, SHORT);
      return { seen: textOf(previous), swapped };
    }
  }
}

/** What the tests of a cluster share: which binding, how quick its Raft is. */
const BINDING = process.env.RUTILE_ENGINE ?? "rocksdb";

/** Ticks of 100 ms, the lease with them, and quick reports to PD. */
export const QUICK: Readonly<Record<string, string>> = {
  "raftstore.raft-base-tick-interval": "100ms",
  "raftstore.pd-heartbeat-tick-interval": "1s",
  "raftstore.pd-store-heartbeat-tick-interval": "1s",
};
/**
 * Within this time service is back when a tick is 100 ms; and with TiKV's tick of 1 s. Elections take a
 * second or two, and ten to twenty; the rest is for machines that do other work, and what it took is printed.
 */
export const QUICK_BACK_MS = 30_000;
export const DEFAULT_BACK_MS = 60_000;

type Work = (cluster: Cluster, load: ClusterLoad) => Promise<void>;

/** A cluster of processes for the cases of a file, one after the other. Stop it after the last. */
export class LoadedCluster {
  readonly #cluster: Cluster;
  readonly #log: string[] = [];
  #cases = 0;

  constructor(options: ClusterOptions = {}) {
    this.#cluster = new Cluster({
      ...options,
      config: { ...QUICK, "engine.binding": BINDING, ...options.config },
      onLog: (member, line) => this.#log.push(`[${member}] ${line}`),
    });
  }

  /** Runs `work` under load, with one region for every few keys, then checks the load. */
  async underLoad(work: Work): Promise<void> {
    const cluster = this.#cluster;
    const load = new ClusterLoad(cluster, { name: `-${this.#cases}` });
    try {
      if (this.#cases++ === 0) {
        await cluster.start();
        await cluster.ready();
        await cluster.splitAt("m");
      }
      await load.start();
      await load.reaches(OPERATIONS_BEFORE);
      await work(cluster, load);
      await load.reaches(load.history.acknowledged + OPERATIONS_AFTER);
      await load.stop();
      await cluster.ready();
      await load.check();
      assert.equal(cluster.deaths, []);
    } catch (error) {
      const peers = await peersOf(cluster).catch(String);
      throw new Error(`${(error as Error).stack}\n${this.#log.slice(-40).join("\n")}\n${peers}`);
    } finally {
      load.abandon();
    }
  }

  /** Ends the processes. */
  stop(): Promise<void> {
    return this.#cluster.stop();
  }
}

/** Runs `work` on a cluster of its own; see LoadedCluster. */
export async function underLoad(options: ClusterOptions, work: Work): Promise<void> {
  const loaded = new LoadedCluster(options);
  try {
    await loaded.underLoad(work);
  } finally {
    await loaded.stop();
  }
}

/** What each running store says of its peers, a line each: for people who read a failure. */
async function peersOf(cluster: Cluster): Promise<string> {
  const lines: string[] = [];
  for (const region of await cluster.regions()) {
    for (const { index, state, statusAddress } of cluster.stores) {
      if (state !== "running" || statusAddress === null) continue;
      const answer = await fetch(`http://${statusAddress}/region/${region.id}`);
      const text = (await answer.text()).replace(/,"raft_apply".*"region_state"/s, "");
      lines.push(`region ${region.id} on store ${index}: ${text.slice(0, 900)}`);
    }
  }
  return lines.join("\n");
}
