/**
 * A process with one engine, for tests that need more than one, kill one, or trace one.
 *   node engine_child.js MODE PATH [COUNT] [sync|nosync]      binding: RUTILE_ENGINE
 *   open     opens, prints the outcome as JSON, closes
 *   hold     opens, prints the outcome, stays until stdin ends, then exits without closing
 *   writer   continues the sequence of kill_sequence.ts until killed; prints "ack N" when batch N,
 *            which asked for sync, is acknowledged
 *   acks     writes COUNT batches, one after the other, and prints "ack N" for each
 *   fill     runs the fixed workload, with COUNT extra keys, and closes
 *   dump     prints the hash of all entries, read in all ways, as JSON
 */
import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import { toHex, utf8 } from "../../src/base/index.js";
import { CF_NAMES, type Engine, type Snapshot } from "../../src/engine/index.js";
import { bindingOfEnvironment, openDiskEngine } from "./engine_harness.js";
import { lastSequence, sequenceBatch } from "./kill_sequence.js";

const IN_FLIGHT_MAX = 8;
const STDOUT = 1;

/** One write call a line, so that a trace and a killed process show it at once. */
function say(line: string): void {
  writeSync(STDOUT, `${line}\n`);
}

async function writeSequence(engine: Engine): Promise<void> {
  const snapshot = engine.snapshot();
  let next = lastSequence(snapshot) + 1;
  snapshot.close();
  const inFlight = new Set<Promise<void>>();
  for (;;) {
    while (inFlight.size < IN_FLIGHT_MAX) {
      const number = next++;
      const batch = engine.newWriteBatch();
      sequenceBatch(batch, number);
      const sync = number % 3 === 0;
      const write = engine.write(batch, { sync }).then(() => {
        inFlight.delete(write);
        if (sync) say(`ack ${number}`);
      });
      inFlight.add(write);
    }
    await Promise.race(inFlight);
  }
}

async function writeAcks(engine: Engine, count: number, sync: boolean): Promise<void> {
  for (let number = 0; number < count; number++) {
    const batch = engine.newWriteBatch();
    batch.put("default", utf8(`key${number}`), utf8("value"));
    await engine.write(batch, { sync });
    say(`ack ${number}`);
  }
}

/** Puts, deletes and range deletes in every CF, in the memtable, in flushed and in merged tables. */
async function fill(engine: Engine, extra: number): Promise<void> {
  for (let round = 0; round < 6; round++) {
    for (const cf of CF_NAMES) {
      const batch = engine.newWriteBatch();
      for (let i = 0; i < 200; i++) {
        const key = utf8(`k${(i * 7 + round * 13) % 400}`);
        if ((i + round) % 5 === 0) batch.delete(cf, key);
        else batch.put(cf, key, utf8(`${cf}${round}.${i}.`.repeat(i % 20)));
      }
      batch.deleteRange(cf, utf8(`k${round}1`), utf8(`k${round}3`));
      await engine.write(batch, { sync: false });
    }
    if (round === 2 || round === 4) await engine.compact();
  }
  for (let from = 0; from < extra; from += 1000) {
    const batch = engine.newWriteBatch();
    for (let i = from; i < from + 1000; i++) {
      batch.put("default", utf8(`x${String(i).padStart(8, "0")}`), utf8(`${i}`.repeat(10)));
    }
    await engine.write(batch, { sync: false });
  }
}

function hashOf(snapshot: Snapshot): string {
  const hash = createHash("sha256");
  for (const cf of CF_NAMES) {
    const iter = snapshot.iterate(cf, { lower: new Uint8Array(0), upper: new Uint8Array(0) });
    const entries: string[] = [];
    for (let on = iter.seekToFirst(); on; on = iter.valid) {
      const { keys, values } = iter.take(500, 1 << 20);
      const again = snapshot.multiGet(cf, keys);
      keys.forEach((key, i) => {
        const value = toHex(values[i] as Uint8Array);
        const read = again[i];
        if (read === undefined || toHex(read) !== value) throw new Error(`get ${toHex(key)}`);
        entries.push(`${toHex(key)}=${value}`);
      });
    }
    let reverse = 0;
    for (let on = iter.seekToLast(); on; on = iter.valid) {
      reverse += iter.take(500, 1 << 20, true).keys.length;
    }
    iter.close();
    if (reverse !== entries.length) throw new Error(`reverse ${reverse} of ${entries.length}`);
    hash.update(`${cf} ${entries.length}\n${entries.join("\n")}\n`);
  }
  return hash.digest("hex");
}

function dump(engine: Engine): void {
  const snapshot = engine.snapshot();
  say(JSON.stringify({ hash: hashOf(snapshot) }));
  snapshot.close();
}

async function run(engine: Engine, mode: string, count: number, sync: boolean): Promise<void> {
  switch (mode) {
    case "open":
    case "hold":
      say(JSON.stringify({ description: engine.description }));
      return;
    case "writer":
      return writeSequence(engine);
    case "acks":
      return writeAcks(engine, count, sync);
    case "fill":
      return fill(engine, count);
    case "dump":
      return dump(engine);
    default:
      throw new Error(`unknown mode ${mode}`);
  }
}

async function main(): Promise<void> {
  const [mode = "", path = "", count = "0", sync = "sync"] = process.argv.slice(2);
  let engine: Engine;
  try {
    engine = await openDiskEngine(bindingOfEnvironment(), path);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    say(JSON.stringify({ code, message }));
    return;
  }
  await run(engine, mode, Number(count), sync === "sync");
  if (mode === "hold") {
    process.stdin.resume().on("end", () => process.exit(0));
    return;
  }
  await engine.close();
}

await main();
