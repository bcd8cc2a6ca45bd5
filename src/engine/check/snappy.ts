/**
 * Decompresses Snappy's raw format, for index blocks of table files in the start-up checks. Not for
 * data: RocksDB does that itself. Source: the format description of google/snappy.
 */
import { ByteEnd, ByteReader } from "./byte_reader.js";

/** A block of a table file is far smaller; a damaged length must not take the memory. */
const DECODED_BYTES_MAX = 256 * 1024 * 1024;

/** Returns the decoded bytes; throws ByteEnd when the input is not whole. */
export function snappyDecode(input: Uint8Array): Uint8Array {
  const reader = new ByteReader(input);
  const length = reader.varint();
  if (length > DECODED_BYTES_MAX) throw new ByteEnd("a compressed block is too large");
  const out = new Uint8Array(length);
  let at = 0;
  while (reader.more) {
    const tag = reader.take(1)[0] as number;
    if ((tag & 3) === 0) {
      const literal = reader.take(literalLength(reader, tag >> 2));
      if (at + literal.length > length) throw new ByteEnd("a literal leaves the block");
      out.set(literal, at);
      at += literal.length;
    } else {
      const { offset, size } = copyOf(reader, tag);
      if (offset === 0 || offset > at || at + size > length) {
        throw new ByteEnd("a copy leaves the block");
      }
      for (let i = 0; i < size; i++, at++) out[at] = out[at - offset] as number;
    }
  }
  if (at !== length) throw new ByteEnd("a compressed block is cut off");
  return out;
}

function literalLength(reader: ByteReader, code: number): number {
  if (code < 60) return code + 1;
  return little(reader, code - 59) + 1;
}

function copyOf(reader: ByteReader, tag: number): { offset: number; size: number } {
  switch (tag & 3) {
    case 1:
      return { offset: ((tag >> 5) << 8) | little(reader, 1), size: ((tag >> 2) & 7) + 4 };
    case 2:
      return { offset: little(reader, 2), size: (tag >> 2) + 1 };
    default:
      return { offset: little(reader, 4), size: (tag >> 2) + 1 };
  }
}

function little(reader: ByteReader, bytes: number): number {
  let value = 0;
  const taken = reader.take(bytes);
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (taken[i] as number);
  return value;
}
