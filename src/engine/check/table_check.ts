/**
 * Verifies every block checksum of a block-based table file. The npm binding needs it at start-up:
 * its iterators read without verifying, and a seek into a block that does not decode is answered
 * with "nothing there". librocksdb verifies each block that it reads, so it does not.
 * Source: RocksDB wiki, "Rocksdb BlockBasedTable Format".
 *
 *   ┌ data block ┬ … ┬ meta blocks ┬ meta index ┬ index ┬ footer 53 B ┐
 *   block   ┌ contents ┬ u8 compression ┬ u32 masked crc32c of both ┐
 *   footer  ┌ u8 checksum type ┬ handles, padded to 40 ┬ u32 version ┬ u64 magic ┐
 */
import { readFileSync } from "node:fs";
import { utf8Decode } from "../../base/index.js";
import { ByteEnd, ByteReader } from "./byte_reader.js";
import { crc32c, maskedCrc } from "./crc32c.js";
import { damaged } from "./damage.js";
import { snappyDecode } from "./snappy.js";

const FOOTER = 53;
const TRAILER = 5;
const MAGIC = 0x88e241b785f4cff7n;
const CHECKSUM_CRC32C = 1;
/** The table format that both bindings write; another one would be read in another way. */
const FORMAT_VERSION = 4;
const COMPRESSION_NONE = 0;
const COMPRESSION_SNAPPY = 1;

interface Handle {
  readonly offset: number;
  readonly size: number;
}

/** Checks a table file. Throws RUTILE:Engine:Corruption with the offset. */
export function checkTable(file: string): void {
  const table = new Table(file, readFileSync(file));
  const { metaIndex, index } = table.footer();
  let deltaEncoded = false;
  let dataBytes: number | undefined;
  for (const [name, value] of entriesOf(table.block(metaIndex))) {
    const handle = handleOf(new ByteReader(value));
    const contents = table.block(handle);
    if (utf8Decode(name) !== "rocksdb.properties") continue;
    const properties = new Map(
      [...entriesOf(contents)].map(([key, bytes]) => [utf8Decode(key), new ByteReader(bytes)]),
    );
    deltaEncoded = properties.get("rocksdb.index.value.is.delta.encoded")?.varint() === 1;
    dataBytes = properties.get("rocksdb.data.size")?.varint();
  }
  let seen = 0;
  for (const handle of handlesOf(table.block(index), deltaEncoded)) {
    table.verify(handle);
    seen += handle.size + TRAILER;
  }
  if (dataBytes !== undefined && seen !== dataBytes) {
    throw damaged(file, index.offset, `its index covers ${seen} of ${dataBytes} bytes`);
  }
}

class Table {
  private readonly file: string;
  private readonly bytes: Uint8Array;

  constructor(file: string, bytes: Uint8Array) {
    this.file = file;
    this.bytes = bytes;
  }

  footer(): { readonly metaIndex: Handle; readonly index: Handle } {
    const { bytes, file } = this;
    const at = bytes.length - FOOTER;
    if (at < 0) throw damaged(file, 0, "it is shorter than a footer");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (view.getBigUint64(at + 45, true) !== MAGIC) throw damaged(file, at + 45, "no table magic");
    const version = view.getUint32(at + 41, true);
    if (version !== FORMAT_VERSION) throw damaged(file, at + 41, `table format ${version}`);
    if (bytes[at] !== CHECKSUM_CRC32C) throw damaged(file, at, `checksum type ${bytes[at]}`);
    const reader = new ByteReader(bytes, at + 1, at + 41);
    return { metaIndex: handleOf(reader), index: handleOf(reader) };
  }

  /** Verifies a block and returns its contents, decompressed. */
  block(handle: Handle): Uint8Array {
    this.verify(handle);
    const end = handle.offset + handle.size;
    const contents = this.bytes.subarray(handle.offset, end);
    const compression = this.bytes[end];
    if (compression === COMPRESSION_NONE) return contents;
    if (compression !== COMPRESSION_SNAPPY) {
      throw damaged(this.file, end, `compression type ${compression}`);
    }
    return snappyDecode(contents);
  }

  verify({ offset, size }: Handle): void {
    const end = offset + size + 1;
    if (end + 4 > this.bytes.length) throw damaged(this.file, offset, "a block is cut off");
    const stored = new ByteReader(this.bytes, end).u32();
    if (maskedCrc(crc32c(this.bytes, offset, end)) !== stored) {
      throw damaged(this.file, offset, "a block checksum does not match");
    }
  }
}

function handleOf(reader: ByteReader): Handle {
  return { offset: reader.varint(), size: reader.varint() };
}

/** Returns the end of the entries of a block: before the restart array. */
function entriesEnd(block: Uint8Array): number {
  if (block.length < 4) throw new ByteEnd("a block has no restart array");
  const restarts = new ByteReader(block, block.length - 4).u32() & 0x7fff_ffff;
  const end = block.length - 4 - 4 * restarts;
  if (end < 0) throw new ByteEnd("a restart array leaves its block");
  return end;
}

/** Yields the entries of a block whose keys share prefixes and whose values have a length. */
function* entriesOf(block: Uint8Array): Generator<readonly [Uint8Array, Uint8Array]> {
  const reader = new ByteReader(block, 0, entriesEnd(block));
  let key: Uint8Array = new Uint8Array(0);
  while (reader.more) {
    const shared = reader.varint();
    const unshared = reader.varint();
    const valueLength = reader.varint();
    key = Buffer.concat([key.subarray(0, shared), reader.take(unshared)]);
    yield [key, reader.take(valueLength)];
  }
}

/** Yields the block handles of an index block. Delta-encoded: no value length, sizes as differences. */
function* handlesOf(block: Uint8Array, deltaEncoded: boolean): Generator<Handle> {
  const reader = new ByteReader(block, 0, entriesEnd(block));
  let before: Handle = { offset: 0, size: 0 };
  while (reader.more) {
    const shared = reader.varint();
    const unshared = reader.varint();
    if (!deltaEncoded) reader.varint();
    reader.take(unshared);
    if (deltaEncoded && shared > 0) {
      const offset = before.offset + before.size + TRAILER;
      before = { offset, size: before.size + reader.signedVarint() };
    } else {
      before = handleOf(reader);
    }
    yield before;
  }
}
