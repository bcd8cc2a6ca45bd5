/** The stream of a region's data: round trips, and every kind of damage is found. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, Prng, utf8 } from "../../../../src/base/index.js";
import {
  CHUNK_HEADER_BYTES,
  CHUNK_MAX_BYTES,
  CHUNK_TRAILER_BYTES,
  DATA_CFS,
} from "../../../../src/raftstore/snapshot/format.js";
import { xxh64 } from "../../../../src/raftstore/snapshot/hash.js";
import {
  decodeSnapshotData,
  encodeSnapshotData,
} from "../../../../src/raftstore/snapshot/snapshot_data.js";
import { StreamReader } from "../../../../src/raftstore/snapshot/stream_reader.js";
import {
  chunksOf,
  fillRandom,
  generate,
  regionOf,
  SnapshotStore,
} from "../../../support/snapshot_store.js";

const REGION = regionOf(7, "a", "m");
const KEY = { regionId: 7, term: 6, index: 42 };
const HEAD = { key: KEY, region: REGION };

/** A stream with small and long values in all CFs, and data around the region. */
async function stream(longBytes = 600_000): Promise<Uint8Array[]> {
  const store = new SnapshotStore();
  await fillRandom(store, "b", 700, 1n, longBytes);
  await fillRandom(store, "0", 50, 2n);
  await fillRandom(store, "m", 50, 3n);
  generate(store, KEY, REGION);
  return chunksOf(store, KEY);
}

/** Returns what a reader says of a whole stream. */
function verdict(chunks: readonly Uint8Array[], head = HEAD): string | undefined {
  const reader = new StreamReader(head, () => {});
  for (const chunk of chunks) {
    const problem = reader.push(chunk);
    if (problem !== undefined) return problem;
  }
  return reader.finish();
}

/** Recomputes all checksums, as a sender would that is broken or means harm. */
function forge(chunks: readonly Uint8Array[]): Uint8Array[] {
  let hash = 0n;
  return chunks.map((chunk) => {
    const copy = chunk.slice();
    const end = copy.length - CHUNK_TRAILER_BYTES;
    if (end < CHUNK_HEADER_BYTES) return copy;
    hash = xxh64(copy.subarray(0, end), hash);
    new DataView(copy.buffer).setBigUint64(end, hash, true);
    return copy;
  });
}

function replaced(chunks: readonly Uint8Array[], at: number, chunk: Uint8Array): Uint8Array[] {
  return chunks.map((one, i) => (i === at ? chunk : one));
}

test("a stream brings exactly the region's data, in chunks of at most 1 MiB", async () => {
  const store = new SnapshotStore();
  await fillRandom(store, "b", 3000, 1n, 2_500_000);
  await store.put("lock", { a: "first", "l\u00ff": "last", m: "behind", "": "before" });
  await store.put("write", { c: "" });
  generate(store, KEY, REGION);
  const chunks = chunksOf(store, KEY);
  assert.ok(chunks.length > 10, "the data span many chunks");
  const found: string[] = [];
  const reader = new StreamReader(HEAD, (cf, key, value) =>
    found.push(`${cf} ${Buffer.from(key).toString("hex")} ${xxh64(value, 0n)}`),
  );
  for (const chunk of chunks) {
    assert.ok(chunk.length <= CHUNK_MAX_BYTES, `a chunk of ${chunk.length} bytes`);
    // As gRPC hands them out; and the memory is used again.
    const received = Buffer.from(chunk);
    assert.is(reader.push(received), undefined);
    received.fill(0xcc);
  }
  assert.is(reader.finish(), undefined);
  assert.ok(reader.complete);
  const expected: string[] = [];
  const snapshot = store.engine.snapshot();
  for (const cf of DATA_CFS) {
    const iter = snapshot.iterate(cf, { lower: utf8("za"), upper: utf8("zm") });
    for (let on = iter.seekToFirst(); on; on = iter.next()) {
      const key = Buffer.from(iter.key().subarray(1)).toString("hex");
      expected.push(`${cf} ${key} ${xxh64(iter.value(), 0n)}`);
    }
    iter.close();
  }
  snapshot.close();
  assert.ok(expected.length > 6000);
  assert.equal(found, expected);
});

test("an empty region is a head and an end", () => {
  const store = new SnapshotStore();
  generate(store, KEY, REGION);
  const chunks = chunksOf(store, KEY);
  assert.is(chunks.length, 2);
  assert.is(verdict(chunks), undefined);
});

test("a stream cut anywhere is found", async () => {
  const chunks = await stream();
  assert.is(verdict(chunks), undefined);
  for (let count = 0; count < chunks.length; count++) {
    assert.match(verdict(chunks.slice(0, count)) ?? "good", /the stream ends after/, `${count}`);
  }
  const prng = new Prng(5n);
  for (let round = 0; round < 300; round++) {
    const at = prng.below(chunks.length);
    const chunk = chunks[at] as Uint8Array;
    const cut = replaced(chunks, at, chunk.subarray(0, prng.below(chunk.length)));
    assert.ok(verdict(cut) !== undefined, `round ${round}: chunk ${at} is cut`);
  }
});

test("every flipped bit is found", async () => {
  const chunks = await stream(300_000);
  const prng = new Prng(6n);
  for (let round = 0; round < 600; round++) {
    const at = prng.below(chunks.length);
    const copy = (chunks[at] as Uint8Array).slice();
    // Half of the rounds damage headers and trailers, the rest anything.
    const edge = CHUNK_HEADER_BYTES + CHUNK_TRAILER_BYTES;
    const near = prng.below(edge);
    const byte =
      round % 2 === 0
        ? prng.below(copy.length)
        : near < CHUNK_HEADER_BYTES
          ? near
          : copy.length - (edge - near);
    copy[byte] = (copy[byte] as number) ^ (1 << prng.below(8));
    const what = verdict(replaced(chunks, at, copy));
    assert.ok(what !== undefined, `round ${round}: chunk ${at}, byte ${byte}`);
  }
});

test("missing, doubled, exchanged and appended chunks are found", async () => {
  const chunks = await stream();
  for (let i = 0; i < chunks.length; i++) {
    const chunk = chunks[i] as Uint8Array;
    const missing = chunks.filter((_, at) => at !== i);
    assert.ok(verdict(missing) !== undefined, `without chunk ${i}`);
    assert.ok(verdict([...chunks.slice(0, i), chunk, ...chunks.slice(i)]), `chunk ${i} twice`);
    assert.ok(verdict([...chunks, chunk]) !== undefined, `chunk ${i} behind the end`);
    const next = chunks[i + 1];
    if (next === undefined) continue;
    const swapped = replaced(replaced(chunks, i, next), i + 1, chunk);
    assert.ok(verdict(swapped) !== undefined, `chunks ${i} and ${i + 1} exchanged`);
    assert.ok(verdict(forge(missing)) !== undefined, `without chunk ${i}, checksums forged`);
    assert.ok(verdict(forge(swapped)) !== undefined, `${i} exchanged, checksums forged`);
  }
});

test("chunks of two streams of the same region do not mix", async () => {
  const first = await stream();
  const store = new SnapshotStore();
  await fillRandom(store, "b", 700, 9n, 600_000);
  generate(store, KEY, REGION);
  const second = chunksOf(store, KEY);
  assert.is(verdict(second), undefined);
  const half = first.length >> 1;
  assert.ok(verdict([...first.slice(0, half), ...second.slice(half)]) !== undefined);
});

test("the data of another region, epoch, term or index are refused", async () => {
  const chunks = await stream();
  const others = [
    { key: { ...KEY, term: 7 }, region: REGION },
    { key: { ...KEY, index: 43 }, region: REGION },
    { key: { ...KEY, regionId: 8 }, region: { ...REGION, id: 8n } },
    { key: KEY, region: { ...REGION, version: 2n } },
    { key: KEY, region: { ...REGION, confVer: 2n } },
    { key: KEY, region: { ...REGION, endKey: utf8("n") } },
    { key: KEY, region: { ...REGION, endKey: EMPTY_BYTES } },
  ];
  for (const other of others) {
    assert.match(verdict(chunks, other) ?? "good", /another region, epoch or index/);
  }
});

test("forged payloads with good checksums are refused or harmless, never thrown", async () => {
  const chunks = await stream(300_000);
  const prng = new Prng(11n);
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const at = prng.below(chunks.length);
    const copy = (chunks[at] as Uint8Array).slice();
    // Near the front of the payload are the counts and lengths.
    const span = Math.min(copy.length, round % 2 === 0 ? 48 : copy.length);
    for (let i = prng.range(1, 4); i > 0; i--) copy[prng.below(span)] = prng.below(256);
    if (verdict(forge(replaced(chunks, at, copy))) !== undefined) refused++;
  }
  assert.ok(refused > 200, `${refused} were refused`);
});

test("random bytes are refused", () => {
  const prng = new Prng(12n);
  for (let round = 0; round < 200; round++) {
    const bytes = new Uint8Array(prng.below(200));
    for (let i = 0; i < bytes.length; i++) bytes[i] = prng.below(256);
    assert.ok(verdict([bytes]) !== undefined);
    const data = decodeSnapshotData(bytes);
    assert.not(data.ok, "random bytes are no snapshot data");
  }
  assert.match(verdict([new Uint8Array(CHUNK_MAX_BYTES + 1)]) ?? "good", /too many/);
});

test("another version of the format is named", async () => {
  const chunks = await stream();
  const copy = (chunks[0] as Uint8Array).slice();
  copy[4] = 9;
  const text = verdict(forge(replaced(chunks, 0, copy)));
  assert.is(text, "chunk 0: snapshot format 9, this store reads 1");
});

test("snapshot data come back; those of TiKV are refused by their version", () => {
  const bytes = encodeSnapshotData({ region: REGION, sizeBytes: 123 });
  const back = decodeSnapshotData(bytes);
  assert.equal(back, { ok: true, value: { region: REGION, sizeBytes: 123 } });
  // Field 4, version 2: what TiKV writes.
  const foreign = decodeSnapshotData(Uint8Array.of(0x20, 2));
  assert.equal(foreign, {
    ok: false,
    error: "snapshot data of version 2, this store reads 1381323777",
  });
  assert.not(decodeSnapshotData(EMPTY_BYTES).ok);
  for (let length = 0; length < bytes.length; length++) {
    const cut = decodeSnapshotData(bytes.subarray(0, length));
    assert.not(cut.ok && cut.value.sizeBytes === 123 && length < bytes.length - 10, `${length}`);
  }
});

test.run();
