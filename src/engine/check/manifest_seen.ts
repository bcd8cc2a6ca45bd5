/**
 * Remembers how long the MANIFEST was, in a small file beside it. A MANIFEST that loses its end reads
 * as an older state of the database: RocksDB would delete the newer table files as garbage and serve
 * the old ones. The length is noted after opening, while writing, and at close; a shorter MANIFEST,
 * or an older one in CURRENT, is refused. What was noted is a lower bound, so a crash is no problem.
 *
 *   RUTILE_MANIFEST: `MANIFEST-000005 1234 <crc32c of what stands before, hex>\n`
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { utf8, utf8Decode } from "../../base/index.js";
import { crc32c } from "./crc32c.js";
import { damaged } from "./damage.js";

/** PERSISTED. */
export const SEEN_FILE = "RUTILE_MANIFEST";

/** Bytes written between two looks at the MANIFEST's length: some for each memtable. */
const LOOK_EVERY_BYTES = 4 * 1024 * 1024;

interface Seen {
  readonly name: string;
  readonly sizeBytes: number;
}

/** Returns the number in a MANIFEST's name. */
function manifestNumber(name: string): number {
  return Number(name.slice("MANIFEST-".length));
}

/** Throws RUTILE:Engine:Corruption when `name`, of `sizeBytes`, is older than what was noted. */
export function checkSeen(directory: string, name: string, sizeBytes: number): void {
  const file = join(directory, SEEN_FILE);
  if (!existsSync(file)) return;
  const seen = parse(utf8Decode(readFileSync(file)));
  if (seen === undefined) throw damaged(file, undefined, "its checksum does not match");
  if (manifestNumber(name) < manifestNumber(seen.name)) {
    const text = `it names ${name}, but ${seen.name} was in use`;
    throw damaged(join(directory, "CURRENT"), 0, text);
  }
  if (name === seen.name && sizeBytes < seen.sizeBytes) {
    throw damaged(join(directory, name), sizeBytes, `it had ${seen.sizeBytes} bytes before`);
  }
}

/** Notes the length of the MANIFEST when it changed. Synced, because an empty file is refused. */
export class ManifestNote {
  private readonly directory: string;
  private noted = "";
  private bytesSinceLook = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** To be called after each write with its length; looks at the MANIFEST now and then. */
  wrote(bytes: number): void {
    this.bytesSinceLook += bytes;
    if (this.bytesSinceLook < LOOK_EVERY_BYTES) return;
    this.bytesSinceLook = 0;
    try {
      this.update();
    } catch {
      // An older note is weaker, not wrong. A disk that fails shows in the writes.
    }
  }

  /** Two system calls when nothing changed. Errs with the file system's error. */
  update(): void {
    const name = utf8Decode(readFileSync(join(this.directory, "CURRENT"))).trimEnd();
    const text = `${name} ${statSync(join(this.directory, name)).size} `;
    if (text === this.noted) return;
    const file = join(this.directory, SEEN_FILE);
    const handle = openSync(`${file}.tmp`, "w");
    try {
      writeSync(handle, `${text}${checksum(text)}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(`${file}.tmp`, file);
    this.noted = text;
  }
}

function parse(text: string): Seen | undefined {
  const match = /^(MANIFEST-\d+) (\d+) ([0-9a-f]+)\n$/.exec(text);
  if (match === null) return undefined;
  const [, name, size, stored] = match as unknown as [string, string, string, string];
  if (checksum(`${name} ${size} `) !== stored) return undefined;
  return { name, sizeBytes: Number(size) };
}

function checksum(text: string): string {
  const bytes = utf8(text);
  return crc32c(bytes, 0, bytes.length).toString(16);
}
