/**
 * Flipped and cut bytes at many offsets of every kind of file: the directory is refused with a clear
 * error, or the damage is found on read. Never a wrong value, never a hole: what opens shows whole
 * batches 1..n of kill_sequence.ts, with n smaller than written only for a torn end of the log.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 240
 * @seconds 20
 */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TikvError } from "../../../src/base/index.js";
import {
  bindingOfEnvironment,
  bindingPresent,
  openDiskEngine,
} from "../../support/engine_harness.js";
import { checkSequence, lastSequence, sequenceBatch } from "../../support/kill_sequence.js";
import { tmpDirInMemory } from "../../support/tmp.js";

const BATCHES = 260;
const MERGED_BATCHES = 130;
/** Of RocksDB's log format: u32 checksum, u16 length, u8 type. */
const RECORD_HEADER = 7;
const LOG_BLOCK = 32 * 1024;
const REFUSALS = new Set(["RUTILE:Engine:Corruption", "RUTILE:Engine:Io"]);

const binding = bindingOfEnvironment();
/** Damaged offsets a file; fewer for the binding that starts a worker for each opening. */
const FLIPS = binding === "rocksdb" ? 12 : 24;
const CUTS = binding === "rocksdb" ? 4 : 8;
const root = tmpDirInMemory("damage");
const good = join(root, "good");

async function writeGood(): Promise<void> {
  const engine = await openDiskEngine(binding, good);
  for (let number = 1; number <= BATCHES; number++) {
    const batch = engine.newWriteBatch();
    sequenceBatch(batch, number);
    await engine.write(batch, { sync: number % 20 === 0 });
    if (number === MERGED_BATCHES) await engine.compact();
  }
  await engine.close();
}

/** Returns the largest file of a kind. */
function fileOf(pattern: RegExp): string {
  const size = (name: string): number => statSync(join(good, name)).size;
  const names = readdirSync(good).filter((name) => pattern.test(name));
  const [name] = names.sort((a, b) => size(b) - size(a));
  if (name === undefined) throw new Error(`no file like ${pattern} in ${readdirSync(good)}`);
  return name;
}

/** "refused …", "found on read …", or the number of batches that are there. */
async function outcomeOf(path: string): Promise<string | number> {
  let engine: Awaited<ReturnType<typeof openDiskEngine>>;
  try {
    engine = await openDiskEngine(binding, path);
  } catch (error) {
    if (!(error instanceof TikvError) || !REFUSALS.has(error.code)) throw error;
    assert.ok(error.message.length > 10, error.message);
    return `refused: ${error.message}`;
  }
  const snapshot = engine.snapshot();
  try {
    checkSequence(snapshot);
    return lastSequence(snapshot);
  } catch (error) {
    if (!(error instanceof TikvError) || !REFUSALS.has(error.code)) throw error;
    return `found on read: ${error.message}`;
  } finally {
    snapshot.close();
    await engine.close();
  }
}

/** Opens a copy whose file `name` has been changed. */
async function damaged(name: string, change: (bytes: Buffer) => Buffer): Promise<string | number> {
  const path = join(root, "copy");
  cpSync(good, path, { recursive: true });
  const file = join(path, name);
  writeFileSync(file, change(readFileSync(file)));
  try {
    return await outcomeOf(path);
  } finally {
    rmSync(path, { recursive: true });
  }
}

/** Returns the first, the last and `count` offsets between. */
function offsetsOf(name: string, count: number): number[] {
  const { size } = statSync(join(good, name));
  const offsets = Array.from({ length: count }, (_, i) => Math.floor(((i + 0.37) * size) / count));
  return [...new Set([0, ...offsets, size - 1])];
}

/** Returns where the records of a log or MANIFEST end: a cut there leaves no broken record behind. */
function recordEnds(name: string): number[] {
  const bytes = readFileSync(join(good, name));
  const ends: number[] = [];
  for (let at = 0; at + RECORD_HEADER < bytes.length; ) {
    const leftInBlock = LOG_BLOCK - (at % LOG_BLOCK);
    if (leftInBlock <= RECORD_HEADER) {
      at += leftInBlock;
      continue;
    }
    at += RECORD_HEADER + bytes.readUInt16LE(at + 4);
    if (at < bytes.length) ends.push(at);
  }
  return ends;
}

interface Tally {
  refused: number;
  whole: number;
  readonly short: { readonly offset: number; readonly last: number }[];
}

async function damageAll(
  name: string,
  offsets: readonly number[],
  change: (bytes: Buffer, offset: number) => Buffer,
): Promise<Tally> {
  const tally: Tally = { refused: 0, whole: 0, short: [] };
  for (const offset of offsets) {
    const outcome = await damaged(name, (bytes) => change(bytes, offset)).catch(
      (error: unknown) => {
        throw new Error(`${name} at ${offset}: ${(error as Error).message}`, { cause: error });
      },
    );
    if (typeof outcome === "string") tally.refused++;
    else if (outcome === BATCHES) tally.whole++;
    else tally.short.push({ offset, last: outcome });
  }
  return tally;
}

const flip = (bytes: Buffer, offset: number): Buffer => {
  bytes[offset] = (bytes[offset] as number) ^ 0x5a;
  return bytes;
};
const ZEROED_BYTES = 600;
const zero = (bytes: Buffer, offset: number): Buffer =>
  bytes.fill(0, offset, offset + ZEROED_BYTES);
const cut = (bytes: Buffer, offset: number): Buffer => bytes.subarray(0, offset);

function damageTests(): void {
  test("the undamaged directory shows everything", async () => {
    await writeGood();
    assert.is(await damaged("CURRENT", (bytes) => bytes), BATCHES);
  });

  for (const [kind, pattern] of [
    ["table", /\.sst$/],
    ["MANIFEST", /^MANIFEST-/],
    ["CURRENT", /^CURRENT$/],
  ] as const) {
    test(`${kind}: flips and cuts lose nothing unnoticed`, async () => {
      const name = fileOf(pattern);
      const flips = await damageAll(name, offsetsOf(name, FLIPS), flip);
      assert.equal(flips.short, [], `${name}: flips`);
      assert.ok(flips.refused > 0, `${name}: no flip was noticed`);
      const cuts = await damageAll(name, offsetsOf(name, CUTS), cut);
      assert.equal(cuts.short, [], `${name}: cuts`);
      assert.ok(cuts.refused > 0, `${name}: no cut was noticed`);
    });
  }

  test("log: a flip in the middle is refused, one in the last record is a torn end", async () => {
    const name = fileOf(/\.log$/);
    const { short, refused } = await damageAll(name, offsetsOf(name, FLIPS), flip);
    assert.ok(refused >= FLIPS - 2, `${refused} of ${FLIPS} refused`);
    for (const { offset, last } of short) {
      assert.ok(last === BATCHES - 1, `a flip at ${offset} lost all after batch ${last}`);
    }
  });

  test("log: a cut keeps a prefix of whole batches", async () => {
    const name = fileOf(/\.log$/);
    const { short } = await damageAll(name, offsetsOf(name, 2 * CUTS), cut);
    assert.ok(short.length > 0, "a cut is accepted as a torn end");
    let before = 0;
    for (const { offset, last } of short) {
      assert.ok(last >= MERGED_BATCHES && last >= before, `cut at ${offset}: ${last}`);
      before = last;
    }
  });

  test("MANIFEST: a cut between two records is refused", async () => {
    const name = fileOf(/^MANIFEST-/);
    const ends = recordEnds(name);
    assert.ok(ends.length > 2, `${ends.length} records`);
    const { refused, whole } = await damageAll(name, ends, cut);
    assert.is(refused + whole, ends.length);
    assert.ok(refused > 0);
  });

  test("log: a zeroed piece in the middle is refused", async () => {
    const name = fileOf(/\.log$/);
    const { size } = statSync(join(good, name));
    const offsets = offsetsOf(name, CUTS).filter((offset) => offset < size / 2);
    const { short, whole } = await damageAll(name, offsets, zero);
    assert.equal(short, []);
    assert.is(whole, 0);
  });

  test("a missing file is refused", async () => {
    for (const pattern of [/\.sst$/, /^MANIFEST-/, /^CURRENT$/]) {
      const name = fileOf(pattern);
      const path = join(root, "missing");
      cpSync(good, path, { recursive: true });
      rmSync(join(path, name));
      assert.type(await outcomeOf(path), "string", name);
      rmSync(path, { recursive: true });
    }
  });
}

if (bindingPresent(binding)) damageTests();
else test.skip("the library is missing", () => {});

test.run();
