/**
 * Reads the MANIFEST that CURRENT names: which table files are live and how large they are, which
 * logs are replayed, the last sequence number. Source: the tags of RocksDB's db/version_edit.h.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { utf8Decode } from "../../base/index.js";
import { ByteEnd, ByteReader } from "./byte_reader.js";
import { damaged } from "./damage.js";
import { readLog } from "./log_reader.js";

export interface Manifest {
  /** File name. */
  readonly name: string;
  /** Bytes of whole records. */
  readonly sizeBytes: number;
  /** Logs below this number are not replayed. */
  readonly logNumber: number;
  readonly lastSequence: number;
  readonly nextFileNumber: number;
  /** Live table files: number to size in bytes. */
  readonly tables: ReadonlyMap<number, number>;
}

/** PERSISTED: do not renumber. */
const TAG = {
  comparator: 1,
  logNumber: 2,
  nextFileNumber: 3,
  lastSequence: 4,
  compactCursor: 5,
  deletedFile: 6,
  newFile: 7,
  prevLogNumber: 9,
  minLogNumberToKeep: 10,
  newFile2: 100,
  newFile3: 102,
  newFile4: 103,
  columnFamily: 200,
  columnFamilyAdd: 201,
  columnFamilyDrop: 202,
  maxColumnFamily: 203,
  inAtomicGroup: 300,
} as const;
/** Tags from here on carry their length, for readers that do not know them. */
const TAG_SKIPPABLE = 1 << 13;
/** Ends the fields of a newFile4. */
const FIELD_END = 1;

/** Returns the file that CURRENT names. Throws RUTILE:Engine:Corruption. */
export function currentManifest(directory: string): string {
  const file = join(directory, "CURRENT");
  const text = utf8Decode(readFileSync(file));
  if (!/^MANIFEST-\d{6,}\n$/.test(text)) throw damaged(file, 0, "it does not name a MANIFEST");
  return text.trimEnd();
}

/** Reads the MANIFEST `name`. A torn last record is accepted. Throws RUTILE:Engine:Corruption. */
export function readManifest(directory: string, name: string): Manifest {
  const file = join(directory, name);
  const bytes = read(file);
  const { records, badAt, badWhy, goodBehind } = readLog(bytes);
  if (badAt !== undefined && (goodBehind || !/cut off|has no end/.test(badWhy))) {
    throw damaged(file, badAt, badWhy);
  }
  if (records.length === 0) throw damaged(file, 0, "it has no records");
  const state = new ManifestState();
  for (const { offset, payload } of records) {
    try {
      state.apply(new ByteReader(payload));
    } catch (error) {
      if (error instanceof ByteEnd) throw damaged(file, offset, error.message);
      throw error;
    }
  }
  const { logNumber, lastSequence, nextFileNumber, tables } = state;
  const sizeBytes = badAt ?? bytes.length;
  return { name, sizeBytes, logNumber, lastSequence, nextFileNumber, tables };
}

function read(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch {
    throw damaged(file, undefined, "CURRENT names it and it cannot be read");
  }
}

class ManifestState {
  logNumber = 0;
  lastSequence = 0;
  nextFileNumber = 0;
  readonly tables = new Map<number, number>();

  apply(edit: ByteReader): void {
    while (edit.more) this.applyField(edit, edit.varint());
  }

  private applyField(edit: ByteReader, tag: number): void {
    switch (tag) {
      case TAG.logNumber:
        this.logNumber = Math.max(this.logNumber, edit.varint());
        return;
      case TAG.nextFileNumber:
        this.nextFileNumber = edit.varint();
        return;
      case TAG.lastSequence:
        this.lastSequence = Math.max(this.lastSequence, edit.varint());
        return;
      case TAG.comparator:
      case TAG.columnFamilyAdd:
        edit.sized();
        return;
      case TAG.prevLogNumber:
      case TAG.minLogNumberToKeep:
      case TAG.columnFamily:
      case TAG.maxColumnFamily:
      case TAG.inAtomicGroup:
        edit.varint();
        return;
      case TAG.columnFamilyDrop:
        return;
      case TAG.compactCursor:
        edit.varint();
        edit.sized();
        return;
      case TAG.deletedFile:
        edit.varint();
        this.tables.delete(edit.varint());
        return;
      case TAG.newFile:
      case TAG.newFile2:
      case TAG.newFile3:
      case TAG.newFile4:
        this.addFile(edit, tag);
        return;
      default:
        if (tag < TAG_SKIPPABLE) throw new ByteEnd(`unknown tag ${tag}`);
        edit.sized();
    }
  }

  private addFile(edit: ByteReader, tag: number): void {
    edit.varint(); // level
    const number = edit.varint();
    if (tag === TAG.newFile3) edit.varint(); // path id
    const sizeBytes = edit.varint();
    edit.sized();
    edit.sized();
    if (tag !== TAG.newFile) {
      edit.varint();
      edit.varint();
    }
    if (tag === TAG.newFile4) {
      while (edit.varint() !== FIELD_END) edit.sized();
    }
    this.tables.set(number, sizeBytes);
  }
}
