/** The start-up checks over hand-made directories: gaps between logs, lost ends, missing files. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TikvError, utf8 } from "../../../../src/base/index.js";
import { checkDirectory } from "../../../../src/engine/check/directory_check.js";
import { ManifestNote, SEEN_FILE } from "../../../../src/engine/check/manifest_seen.js";
import { snappyDecode } from "../../../../src/engine/check/snappy.js";
import { batchOf, logOf } from "../../../support/log_writer.js";
import { tmpDir } from "../../../support/tmp.js";

const root = tmpDir("check");

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

interface Made {
  readonly logs?: Readonly<Record<string, Buffer>>;
  readonly logNumber?: number;
  readonly lastSequence?: number;
  readonly table?: number;
}

/** Makes a directory whose MANIFEST says `logNumber` and `lastSequence`. */
function make({ logs = {}, logNumber = 4, lastSequence = 10, table }: Made): string {
  const path = mkdtempSync(join(root, "d"));
  const edits = [
    Buffer.from([1, 3, 0x63, 0x6d, 0x70]), // comparator "cmp"
    Buffer.from([2, ...varint(logNumber), 3, ...varint(50), 4, ...varint(lastSequence)]),
  ];
  if (table !== undefined) {
    // newFile4: level 0, number 7, size, smallest "a", largest "b", two sequences, one field, end.
    edits.push(Buffer.from([103, 0, 7, ...varint(table), 1, 97, 1, 98, 1, 2, 6, 1, 0, 1]));
  }
  writeFileSync(join(path, "MANIFEST-000003"), logOf(edits));
  writeFileSync(join(path, "CURRENT"), "MANIFEST-000003\n");
  for (const [name, bytes] of Object.entries(logs)) writeFileSync(join(path, name), bytes);
  return path;
}

/** Returns what the check says: the sequence of the end, or the message of the refusal. */
function checked(path: string): number | string {
  try {
    return checkDirectory(path, { tables: false })?.wal.lastSequence ?? "nothing there";
  } catch (error) {
    assert.instance(error, TikvError);
    assert.is((error as TikvError).code, "RUTILE:Engine:Corruption");
    return (error as TikvError).message.replaceAll(`${path}/`, "");
  }
}

const first = batchOf(11, 2, 30);
const second = batchOf(13, 1, 30);
const third = batchOf(14, 5, 30);

test("batches that continue the MANIFEST and each other are accepted, over several logs", () => {
  const logs = { "000004.log": logOf([first, second]), "000009.log": logOf([third]) };
  assert.is(checked(make({ logs })), 18);
  assert.is(checked(make({})), 10);
});

test("logs below the MANIFEST's number are not looked at", () => {
  const logs = { "000003.log": logOf([batchOf(500, 1, 5)]), "000004.log": logOf([first]) };
  assert.is(checked(make({ logs })), 12);
});

test("a batch that is missing shows as a gap: inside a log, between logs, before the first", () => {
  const gap = "records 13 to 13 are missing before it";
  const inside = { "000004.log": logOf([first, third]) };
  assert.is(checked(make({ logs: inside })), `damaged file 000004.log at offset 49: ${gap}`);
  const between = { "000004.log": logOf([first]), "000009.log": logOf([third]) };
  assert.is(checked(make({ logs: between })), `damaged file 000009.log at offset 0: ${gap}`);
  const before = { "000004.log": logOf([second]) };
  assert.match(String(checked(make({ logs: before }))), "records 11 to 12 are missing");
});

test("a torn log is accepted at the end, refused before a log with records", () => {
  const torn = logOf([first, second]).subarray(0, 80);
  const last = { "000004.log": torn, "000009.log": Buffer.alloc(0) };
  assert.is(checked(make({ logs: last })), 12);
  const middle = { "000004.log": torn, "000009.log": logOf([second]) };
  assert.match(String(checked(make({ logs: middle }))), "it is torn, and");
});

test("damage inside a log is refused with file, offset and reason", () => {
  const bytes = logOf([first, second, third]);
  bytes[60] = (bytes[60] as number) ^ 1;
  const text = "damaged file 000004.log at offset 49: a checksum does not match, and whole records";
  assert.match(String(checked(make({ logs: { "000004.log": bytes } }))), text);
});

test("a table that is missing or has another size is refused", () => {
  const path = make({ table: 300 });
  assert.is(checked(path), "damaged file 000007.sst: the MANIFEST lists it, it is missing");
  writeFileSync(join(path, "000007.sst"), Buffer.alloc(299));
  assert.is(checked(path), "damaged file 000007.sst: it has 299 bytes, the MANIFEST says 300");
  writeFileSync(join(path, "000007.sst"), Buffer.alloc(300));
  assert.is(checked(path), 10);
});

test("CURRENT must name a MANIFEST that is there; without it files of a database are refused", () => {
  const path = make({});
  writeFileSync(join(path, "CURRENT"), "MANIFEST-000004\n");
  assert.match(String(checked(path)), "MANIFEST-000004: CURRENT names it and it cannot be read");
  writeFileSync(join(path, "CURRENT"), "MANIFEST-00");
  assert.match(String(checked(path)), "CURRENT at offset 0: it does not name a MANIFEST");
  const empty = mkdtempSync(join(root, "d"));
  assert.is(checked(empty), "nothing there");
  writeFileSync(join(empty, "000007.sst"), "");
  assert.match(String(checked(empty)), "CURRENT: it is missing, but 000007.sst is there");
});

test("every flip in a MANIFEST is refused; a cut behind its last noted length is accepted", () => {
  const path = make({ table: 300 });
  writeFileSync(join(path, "000007.sst"), Buffer.alloc(300));
  const file = join(path, "MANIFEST-000003");
  const good = readFileSync(file);
  for (let at = 0; at < good.length; at++) {
    const bytes = Buffer.from(good);
    bytes[at] = (bytes[at] as number) ^ 0x41;
    writeFileSync(file, bytes);
    const noted = checked(path);
    // A length that now leaves the file looks like a record that was being written.
    if (typeof noted === "number") assert.ok(at >= good.length - 21, `${at}`);
  }
  writeFileSync(file, good.subarray(0, good.length - 1));
  assert.is(checked(path), 10, "torn while it was written, not noted yet");
  writeFileSync(file, good);
  new ManifestNote(path).update();
  for (let at = 0; at < good.length; at++) {
    const bytes = Buffer.from(good);
    bytes[at] = (bytes[at] as number) ^ 0x41;
    writeFileSync(file, bytes);
    assert.type(checked(path), "string", `flip at ${at}`);
    writeFileSync(file, good.subarray(0, at));
    assert.type(checked(path), "string", `cut at ${at}`);
  }
});

test("an older MANIFEST in CURRENT and a damaged note are refused, a newer MANIFEST is not", () => {
  const path = make({});
  writeFileSync(join(path, "MANIFEST-000008"), readFileSync(join(path, "MANIFEST-000003")));
  writeFileSync(join(path, "CURRENT"), "MANIFEST-000008\n");
  new ManifestNote(path).update();
  const note = readFileSync(join(path, SEEN_FILE));
  writeFileSync(join(path, "CURRENT"), "MANIFEST-000003\n");
  assert.match(String(checked(path)), "it names MANIFEST-000003, but MANIFEST-000008 was in use");
  writeFileSync(join(path, "MANIFEST-000012"), readFileSync(join(path, "MANIFEST-000003")));
  writeFileSync(join(path, "CURRENT"), "MANIFEST-000012\n");
  assert.is(checked(path), 10);
  for (let at = 0; at < note.length; at++) {
    const bytes = Buffer.from(note);
    bytes[at] = (bytes[at] as number) ^ 1;
    writeFileSync(join(path, SEEN_FILE), bytes);
    assert.match(String(checked(path)), "its checksum does not match", `${at}`);
  }
});

test("snappy: literals, copies that overlap, and input that is not whole", () => {
  const repeated = Uint8Array.of(10, 1 << 2, 97, 98, ((8 - 4) << 2) | 1, 2);
  assert.equal(Buffer.from(snappyDecode(repeated)).toString(), "ababababab");
  const long = Buffer.from([200, 1, 60 << 2, 199, ...Buffer.alloc(200, 120)]);
  assert.equal(Buffer.from(snappyDecode(long)), Buffer.alloc(200, 120));
  for (const broken of [utf8(""), repeated.subarray(0, 5), Uint8Array.of(5, 0, 97)]) {
    assert.throws(() => snappyDecode(broken));
  }
  assert.throws(() => snappyDecode(Uint8Array.of(4, 0, 97, 1, 9)), "a copy leaves the block");
});

test.run();
