/**
 * Zeroed, cut and lost pieces in a directory whose writer was killed: tables from earlier recoveries,
 * a MANIFEST with their edits, a log with an unclean end. Refused, found on read, or everything that
 * was acknowledged is there; only the end of the newest log may be missing, never a middle.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 180
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
import { startEngine } from "../../support/engine_process.js";
import { checkSequence, lastSequence } from "../../support/kill_sequence.js";
import { tmpDir } from "../../support/tmp.js";

const ROUNDS = 3;
const ACKS_A_ROUND = 25;
const CASES = 10;
/** What a disk loses at once. */
const SECTOR = 512;
const PAGE = 4096;

const binding = bindingOfEnvironment();
const root = tmpDir("crashed");
const good = join(root, "good");
let acked = 0;

async function crashWriter(): Promise<void> {
  let acks = 0;
  const writer = startEngine(binding, ["writer", good], {
    onLine: (line, child) => {
      acked = Math.max(acked, Number(line.replace("ack ", "")));
      if (++acks === ACKS_A_ROUND) child.kill("SIGKILL");
    },
  });
  const { signal } = await writer.ended;
  assert.is(signal, "SIGKILL", writer.errors());
}

/** "refused …" or "found …" with the message, or the number of whole batches that are there. */
async function outcomeOf(path: string): Promise<string | number> {
  try {
    const engine = await openDiskEngine(binding, path);
    const snapshot = engine.snapshot();
    try {
      checkSequence(snapshot);
      return lastSequence(snapshot);
    } finally {
      snapshot.close();
      await engine.close();
    }
  } catch (error) {
    if (error instanceof TikvError && error.code === "RUTILE:Engine:Corruption") {
      return error.message;
    }
    throw error;
  }
}

async function withChange(change: (path: string) => void): Promise<string | number> {
  const path = join(root, "copy");
  cpSync(good, path, { recursive: true });
  try {
    change(path);
    return await outcomeOf(path);
  } finally {
    rmSync(path, { recursive: true });
  }
}

function filesLike(pattern: RegExp): string[] {
  return readdirSync(good)
    .filter((name) => pattern.test(name) && statSync(join(good, name)).size > 0)
    .sort();
}

function zeroed(name: string, at: number, length: number): Promise<string | number> {
  return withChange((path) => {
    const file = join(path, name);
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0, at, Math.min(bytes.length, at + length)));
  });
}

function damageTests(): void {
  test("a directory of a killed writer opens with everything acknowledged", async () => {
    for (let round = 0; round < ROUNDS; round++) await crashWriter();
    const last = await withChange(() => {});
    assert.ok(typeof last === "number" && last >= acked, `${last}, acknowledged ${acked}`);
  });

  test("zeroed sectors and pages of tables and of the MANIFEST lose nothing unnoticed", async () => {
    let noticed = 0;
    for (const name of [...filesLike(/\.sst$/).slice(-2), ...filesLike(/^MANIFEST-/)]) {
      const { size } = statSync(join(good, name));
      for (let i = 0; i < CASES; i++) {
        const at = Math.floor(((i / CASES) * size) / SECTOR) * SECTOR;
        const outcome = await zeroed(name, at, SECTOR);
        if (typeof outcome === "string") noticed++;
        else assert.ok(outcome >= acked, `${name} at ${at}: ${outcome} of ${acked}`);
      }
    }
    assert.ok(noticed >= CASES, `${noticed} noticed`);
  });

  test("a zeroed page of the log is refused, or is its end", async () => {
    const name = filesLike(/\.log$/).at(-1) ?? "none";
    const { size } = statSync(join(good, name));
    let refused = 0;
    for (let i = 0; i < CASES; i++) {
      const at = Math.floor(((i / CASES) * size) / PAGE) * PAGE;
      const outcome = await zeroed(name, at, PAGE);
      if (typeof outcome === "string") {
        assert.match(outcome, name);
        refused++;
      } else {
        assert.ok(at + 3 * 32 * 1024 > size, `${at} of ${size}: ${outcome} of ${acked} are there`);
      }
    }
    assert.ok(refused >= CASES / 2, `${refused} of ${CASES} refused`);
  });

  test("a lost table is refused; a MANIFEST that a cut made older is refused", async () => {
    for (const name of filesLike(/\.sst$/)) {
      const outcome = await withChange((path) => rmSync(join(path, name)));
      // A crash may leave a merged table that no longer counts.
      if (typeof outcome === "number") assert.ok(outcome >= acked, name);
    }
    const [manifest = "none"] = filesLike(/^MANIFEST-/).slice(-1);
    const bytes = readFileSync(join(good, manifest));
    for (let i = 0; i < CASES; i++) {
      const length = Math.floor((i / CASES) * bytes.length);
      const outcome = await withChange((path) =>
        writeFileSync(join(path, manifest), bytes.subarray(0, length)),
      );
      assert.type(outcome, "string", `cut at ${length} of ${bytes.length}`);
    }
  });
}

if (bindingPresent(binding)) damageTests();
else test.skip("the library is missing", () => {});

test.run();
