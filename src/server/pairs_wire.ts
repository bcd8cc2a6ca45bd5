/**
 * The pairs of ScanResponse and BatchGetResponse, from what storage found straight to the wire: user
 * keys are decoded where they stand in the response, no message is built for a pair. Hot path.
 * Source: kvrpcpb.KvPair.
 */
import { keyToRaw } from "../codec/index.js";
import { memcomparableDecodeInto, memcomparableScan } from "../kernel/index.js";
import { bytesSize, fromBigInt, kvrpcpb, varintSize, WireWriter } from "../pb/index.js";
import type { TxnPair } from "../storage/index.js";
import { keyErrorToProto } from "./key_error.js";

/** `pairs` is field 2 of both responses. */
const TAG_PAIRS = 0x12;
/** Tags of KvPair: key 2, value 3. */
const TAG_KEY = 0x12;
const TAG_VALUE = 0x1a;
const GROUP_ENCODED = 9;
const GROUP = 8;

/** Length of the user key of an encoded one. Throws KV:Codec:BadPadding. */
function rawLength(encoded: Uint8Array): number {
  const { length } = encoded;
  if (memcomparableScan(encoded, 0, length, 0) !== length) return keyToRaw(encoded).length;
  return (length / GROUP_ENCODED) * GROUP - (0xff - (encoded[length - 1] as number));
}

/** The message of a pair that is more than key and value. */
function encodedPair(pair: TxnPair): Uint8Array {
  const message =
    "error" in pair
      ? { error: keyErrorToProto(pair.error) }
      : { key: keyToRaw(pair.key), value: pair.value, commitTs: fromBigInt(pair.commitTs) };
  return kvrpcpb.KvPair.encode(message).finish();
}

/** Returns the encoded field of all pairs; with their commit_ts if it is asked for. */
export function encodePairs(pairs: readonly TxnPair[], needCommitTs: boolean): Uint8Array {
  const sizes: number[] = [];
  const encoded = new Map<number, Uint8Array>();
  let total = 0;
  for (let i = 0; i < pairs.length; i++) {
    const pair = pairs[i] as TxnPair;
    let size: number;
    if (needCommitTs || "error" in pair) {
      const message = encodedPair(pair);
      encoded.set(i, message);
      size = message.length;
    } else size = bytesSize(rawLength(pair.key)) + bytesSize(pair.value.length);
    sizes.push(size);
    total += 1 + varintSize(size) + size;
  }
  const writer = new WireWriter(new Uint8Array(total));
  for (let i = 0; i < pairs.length; i++) {
    const pair = pairs[i] as TxnPair;
    const size = sizes[i] as number;
    writer.open(TAG_PAIRS, size);
    if (needCommitTs || "error" in pair) writer.copy(encoded.get(i) as Uint8Array, 0, size);
    else writePair(writer, pair.key, pair.value, size);
  }
  return writer.finish();
}

function writePair(writer: WireWriter, key: Uint8Array, value: Uint8Array, size: number): void {
  const valueSize = bytesSize(value.length);
  if (size > valueSize) {
    writer.open(TAG_KEY, rawLength(key));
    writer.at = memcomparableDecodeInto(writer.bytes, writer.at, key, 0, key.length, 0);
  }
  writer.bytesField(TAG_VALUE, value);
}
