/** Hides symbols of a 64-bit little-endian ELF library. Source: the System V ABI, "Symbol Table". */

const MAGIC = 0x464c457f;
const SECTION_TABLE_OFFSET = 0x28;
const SECTION_ENTRY_BYTES = 0x3a;
const SECTION_COUNT = 0x3c;
const DYNAMIC_SYMBOLS = 11;
const SYMBOL_BYTES = 24;
/** Bindings in the upper half of st_info. A unique symbol must stay shared between libraries. */
const BIND_GLOBAL = 1;
const BIND_WEAK = 2;
const UNDEFINED = 0;
const VISIBILITY_HIDDEN = 2;

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/**
 * Marks the defined dynamic symbols that `match` as hidden, in place, so that references inside the
 * library bind to them. Returns how many; throws when the bytes are no such library.
 */
export function hideSymbols(bytes: Buffer, match: (name: string) => boolean): number {
  if (bytes.length < 64 || bytes.readUInt32LE(0) !== MAGIC || bytes[4] !== 2 || bytes[5] !== 1) {
    throw damagedBinary("it is no 64-bit little-endian ELF file");
  }
  const sections = sectionsOf(bytes);
  const symbols = sections.find(({ type }) => type === DYNAMIC_SYMBOLS);
  const names = symbols && sections[symbols.link];
  if (symbols === undefined || names === undefined) throw damagedBinary("it has no symbol table");
  let hidden = 0;
  const end = symbols.offset + symbols.size;
  for (let at = symbols.offset; at < end; at += SYMBOL_BYTES) {
    const bind = bytes.readUInt8(at + 4) >> 4;
    if (bytes.readUInt16LE(at + 6) === UNDEFINED) continue;
    if (bind !== BIND_GLOBAL && bind !== BIND_WEAK) continue;
    const nameAt = names.offset + bytes.readUInt32LE(at);
    if (!match(bytes.toString("latin1", nameAt, bytes.indexOf(0, nameAt)))) continue;
    bytes[at + 5] = VISIBILITY_HIDDEN;
    hidden++;
  }
  return hidden;
}

/** The error of a library that cannot be changed; callers give it a code. */
export function damagedBinary(why: string): Error {
  return new Error(`the prebuilt library cannot be adapted: ${why}`);
}

function sectionsOf(bytes: Buffer): Section[] {
  const table = Number(bytes.readBigUInt64LE(SECTION_TABLE_OFFSET));
  const entryBytes = bytes.readUInt16LE(SECTION_ENTRY_BYTES);
  return Array.from({ length: bytes.readUInt16LE(SECTION_COUNT) }, (_, i) => {
    const at = table + i * entryBytes;
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 0x18)),
      size: Number(bytes.readBigUInt64LE(at + 0x20)),
      link: bytes.readUInt32LE(at + 0x28),
    };
  });
}
