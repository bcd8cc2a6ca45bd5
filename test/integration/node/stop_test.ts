/**
 * A cluster in one process that is stopped after any number of turns of the event loop since its
 * start began: it ends, and nothing stays open.
 * @timeout 300
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Cluster } from "../../../src/testing/index.js";
import { within } from "../../support/within.js";

const LIMIT_MS = 20_000;
/** PD's GC leader makes rounds as soon as the store is there. */
const CONFIG = { "gc.run-interval": "100ms", "gc.life-time": "100ms", "gc.poll-interval": "10ms" };
/** The start of PD and one store takes about 100. */
const TURNS = [...Array(24).keys()].map((i) => i * 5);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What keeps this process alive, but for timers. */
const open = (): string => `${process.getActiveResourcesInfo().filter((name) => /TCP/.test(name))}`;

test("a stop in the middle of a start ends it, and leaves nothing open", async () => {
  for (const turns of TURNS) {
    const cluster = new Cluster({ mode: "inProcess", stores: 1, memory: true, config: CONFIG });
    const starting = cluster.start().then(
      () => "started",
      (error: unknown) => String(error),
    );
    for (let i = 0; i < turns; i++) await turn();
    await cluster.stop();
    // What it has begun after that stop is stopped too.
    let end: string | undefined;
    void starting.then((how) => {
      end = how;
    });
    await within(LIMIT_MS, `the end of a start after ${turns} turns`, () => end !== undefined);
    await cluster.stop();
    await within(LIMIT_MS, `nothing open after ${turns} turns`, () => open() === "");
  }
  assert.is(open(), "");
});

test.run();
