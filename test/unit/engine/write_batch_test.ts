/** The WriteBatch representation against hand-written bytes, and a reader that trusts nothing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromHex, TikvError, toHex, utf8 } from "../../../src/base/index.js";
import {
  checkRepresentation,
  mergeRepresentations,
  representationCount,
  WriteBatchBuilder,
  type WriteRecord,
  writeRecords,
} from "../../../src/engine/index.js";

function sample(): WriteBatchBuilder {
  const batch = new WriteBatchBuilder();
  batch.put("default", utf8("k"), utf8("vv"));
  batch.delete("lock", utf8("l"));
  batch.deleteRange("write", utf8("a"), utf8("b"));
  batch.deleteRange("raft", fromHex(""), fromHex(""));
  return batch;
}

const SAMPLE_HEX =
  "0000000000000000" + // sequence
  "04000000" + // count
  "01" +
  "02646b" +
  "027676" +
  "00" +
  "026c6c" +
  "0f" +
  "027761" +
  "027762" +
  "0f" +
  "0172" +
  "0173";

const RECORD_ENDS = [12, 19, 23, 30, 35];

function show(record: WriteRecord): string {
  if (record.kind === "put") return `put ${toHex(record.key)} ${toHex(record.value)}`;
  if (record.kind === "delete") return `delete ${toHex(record.key)}`;
  return `deleteRange ${toHex(record.start)} ${toHex(record.end)}`;
}

function isCodecError(error: unknown): boolean {
  return error instanceof TikvError && error.code === "KV:Engine:Codec";
}

test("bytes are RocksDB's", () => {
  const batch = sample();
  assert.is(toHex(batch.bytes()), SAMPLE_HEX);
  assert.is(batch.count, 4);
  assert.is(batch.sizeBytes, SAMPLE_HEX.length / 2);
});

test("writeRecords yields what was put in", () => {
  const records = [...writeRecords(sample().bytes())].map(show);
  assert.equal(records, [
    "put 646b 7676",
    "delete 6c6c",
    "deleteRange 7761 7762",
    "deleteRange 72 73",
  ]);
});

test("a batch grows, keeps long lengths, and clears", () => {
  const batch = new WriteBatchBuilder();
  const key = new Uint8Array(8192).fill(0x61);
  const value = new Uint8Array(3 << 20).fill(0x62);
  for (let i = 0; i < 3; i++) batch.put("default", key, value);
  const records = [...writeRecords(batch.bytes())];
  assert.is(records.length, 3);
  for (const record of records) {
    assert.is(record.kind, "put", "kind of each record");
    assert.is(record.kind === "put" && record.key.length, 8193, "key length of each record");
    assert.is(record.kind === "put" && record.value.length, 3 << 20, "value length");
  }
  batch.clear();
  assert.is(toHex(batch.bytes()), "000000000000000000000000");
  batch.delete("default", utf8("x"));
  assert.equal([...writeRecords(batch.bytes())].map(show), ["delete 6478"]);
});

test("mergeRepresentations keeps order and sums counts", () => {
  const other = new WriteBatchBuilder();
  other.delete("default", utf8("z"));
  const empty = new WriteBatchBuilder();
  const merged = mergeRepresentations([other.bytes(), empty.bytes(), sample().bytes()]);
  assert.is(checkRepresentation(merged), 5);
  assert.is([...writeRecords(merged)].map(show)[0], "delete 647a");
  assert.is([...writeRecords(merged)].map(show)[4], "deleteRange 72 73");
  assert.is(representationCount(mergeRepresentations([])), 0);
});

test("a merge of one part is a copy", () => {
  const batch = sample();
  const merged = mergeRepresentations([batch.bytes()]);
  batch.clear();
  batch.delete("default", utf8("overwritten"));
  assert.is(toHex(merged), SAMPLE_HEX);
});

test("every truncation is refused", () => {
  const bytes = fromHex(SAMPLE_HEX);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => checkRepresentation(bytes.slice(0, length)), isCodecError, `cut ${length}`);
  }
  assert.is(checkRepresentation(bytes), 4);
});

test("wrong counts, unknown tags and endless lengths are refused", () => {
  const change = (offset: number, byte: number): Uint8Array => {
    const bytes = fromHex(SAMPLE_HEX);
    bytes[offset] = byte;
    return bytes;
  };
  for (const count of [0, 3, 5, 255]) {
    assert.throws(() => checkRepresentation(change(8, count)), isCodecError, `count ${count}`);
  }
  for (const offset of RECORD_ENDS.slice(0, 4)) {
    assert.throws(() => checkRepresentation(change(offset, 0x07)), isCodecError, `tag ${offset}`);
  }
  assert.throws(() => checkRepresentation(change(13, 0xff)), isCodecError);
  const endless = fromHex(`000000000000000001000000${"01"}ffffffffffff`);
  assert.throws(() => checkRepresentation(endless), isCodecError);
  assert.throws(() => mergeRepresentations([fromHex("00")]), isCodecError);
});

test.run();
