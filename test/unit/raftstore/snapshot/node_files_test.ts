/** Received snapshots as real files: whole or not there, leftovers removed, errors as texts. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, utf8 } from "../../../../src/base/index.js";
import { parseSnapFileName, snapFileName } from "../../../../src/raftstore/snapshot/files.js";
import { NodeSnapFiles } from "../../../../src/raftstore/snapshot/node_files.js";
import { tmpDir } from "../../../support/tmp.js";
import { within } from "../../../support/within.js";

const NAME = "rev_1_2_3.snap";

function folder(): string {
  return join(tmpDir("snap"), "snap");
}

function called<T>(call: (done: (result: T) => void) => void): Promise<T> {
  return new Promise((resolve) => call(resolve));
}

test("a file has its name only when it was committed", async () => {
  const path = folder();
  const files = new NodeSnapFiles(path);
  const writer = files.create(NAME);
  const parts = [new Uint8Array(100_000).fill(1), utf8("two"), new Uint8Array(0)];
  for (const part of parts) {
    assert.is(await called((done) => writer.append(part, done)), undefined);
    assert.not(existsSync(join(path, NAME)));
  }
  assert.is(await called((done) => writer.commit(done)), undefined);
  assert.equal(readdirSync(path), [NAME]);
  assert.equal(new Uint8Array(readFileSync(join(path, NAME))), concatBytes(...parts));
  assert.equal(files.list(), [{ name: NAME, sizeBytes: 100_003 }]);
  writer.discard();
  assert.equal(readdirSync(path), [NAME]);
});

test("a file is read in pieces, fewer bytes at the end", async () => {
  const files = new NodeSnapFiles(folder());
  const writer = files.create(NAME);
  await called((done) => writer.append(utf8("0123456789"), done));
  await called((done) => writer.commit(done));
  const reader = files.open(NAME);
  const read = async (offset: number, length: number): Promise<string> => {
    const bytes = await called<Uint8Array | string>((done) => reader?.read(offset, length, done));
    return typeof bytes === "string" ? `problem ${bytes}` : Buffer.from(bytes).toString();
  };
  assert.is(await read(0, 4), "0123");
  assert.is(await read(4, 100), "456789");
  assert.is(await read(10, 100), "");
  reader?.close();
  reader?.close();
  assert.is(files.open("rev_9_9_9.snap"), undefined);
});

test("what was given up vanishes, also in the middle of a write", async () => {
  const path = folder();
  const files = new NodeSnapFiles(path);
  const writer = files.create(NAME);
  let calls = 0;
  writer.append(new Uint8Array(20_000_000), () => {
    calls++;
  });
  await within(5000, "the temporary file is there", () => readdirSync(path).length === 1);
  const before = calls;
  writer.discard();
  writer.discard();
  await within(5000, "the temporary file is gone", () => readdirSync(path).length === 0);
  assert.is(calls, before, "no callback after a discard");
  const untouched = files.create(NAME);
  untouched.discard();
  assert.equal(readdirSync(path), []);
});

test("a start removes what a crash left unfinished, and nothing else", () => {
  const path = folder();
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, `${NAME}.7.tmp`), "half");
  writeFileSync(join(path, NAME), "whole");
  writeFileSync(join(path, "notes"), "of a person");
  const files = new NodeSnapFiles(path);
  assert.equal(readdirSync(path).sort(), ["notes", NAME]);
  assert.equal(
    files
      .list()
      .map(({ name }) => name)
      .sort(),
    ["notes", NAME],
  );
});

test("a removed snapshot may come again at once", async () => {
  const path = folder();
  const files = new NodeSnapFiles(path);
  for (let round = 0; round < 20; round++) {
    const writer = files.create(NAME);
    await called((done) => writer.append(utf8(`round ${round}`), done));
    assert.is(await called((done) => writer.commit(done)), undefined);
    assert.is(readFileSync(join(path, NAME)).toString(), `round ${round}`);
    if (round < 19) files.remove(NAME);
  }
  await within(5000, "removed files are gone", () => readdirSync(path).length === 1);
  files.remove("rev_9_9_9.snap");
});

test("a disk that refuses is a text", async () => {
  const path = folder();
  const files = new NodeSnapFiles(path);
  const writer = files.create("no/such/folder/rev_1_2_3.snap");
  const problem = await called<string | undefined>((done) => writer.append(utf8("x"), done));
  assert.match(problem ?? "good", /ENOENT/);
  const taken = join(tmpDir("snap"), "file");
  writeFileSync(taken, "");
  try {
    new NodeSnapFiles(taken);
    assert.unreachable("a file is no directory");
  } catch (error) {
    assert.is((error as { code?: string }).code, "RUTILE:Engine:Io");
  }
});

test("names carry region, term and index", () => {
  const key = { regionId: 12, term: 7, index: 4_000_000_000_000 };
  assert.is(snapFileName(key), "rev_12_7_4000000000000.snap");
  assert.equal(parseSnapFileName(snapFileName(key)), key);
  for (const name of ["rev_1_2.snap", "gen_1_2_3.snap", `${NAME}.0.tmp`, "rev_1_-2_3.snap"]) {
    assert.is(parseSnapFileName(name), undefined);
  }
});

test.run();
