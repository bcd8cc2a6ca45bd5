/**
 * What happened, in two forms: a hash over every delivered event, by which two runs are compared,
 * and the last state lines, which a failure prints. Legend of the lines: README.md.
 */
import type { Envelope } from "./network.js";

const FNV_PRIME = 0x0100_0193;
const FNV_OFFSET_A = 0x811c_9dc5;
const FNV_OFFSET_B = 0x9747_b28c;
const LINES_MAX = 200;

/** FNV-1a in two lanes of 32 bits that see the same bytes and differ in what is mixed in. */
export class TraceHash {
  private a: number = FNV_OFFSET_A;
  private b: number = FNV_OFFSET_B;

  /** Adds a number below 2^53. */
  number(value: number): void {
    this.word(value >>> 0);
    this.word(Math.floor(value / 0x1_0000_0000) >>> 0);
  }

  bytes(bytes: Uint8Array): void {
    let { a, b } = this;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i] as number;
      a = Math.imul(a ^ byte, FNV_PRIME);
      b = Math.imul(b ^ (byte + i), FNV_PRIME);
    }
    this.a = a;
    this.b = b;
    this.word(bytes.length);
  }

  text(text: string): void {
    for (let i = 0; i < text.length; i++) this.word(text.charCodeAt(i));
    this.word(text.length);
  }

  /** Returns 53 bits. */
  integer(): number {
    return (this.a >>> 0) * 0x20_0000 + (this.b >>> 11);
  }

  /** Returns 16 hex digits. */
  digest(): string {
    return hex32(this.a) + hex32(this.b);
  }

  private word(word: number): void {
    this.a = Math.imul(this.a ^ word, FNV_PRIME);
    this.a ^= this.a >>> 15;
    this.b = Math.imul(this.b ^ word, FNV_PRIME) + this.a;
  }
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

const digests = new WeakMap<Uint8Array, number>();

/** Returns a 53-bit hash of `bytes` as an integer. Remembered by array: it must not change. */
export function hashBytes(bytes: Uint8Array): number {
  let digest = digests.get(bytes);
  if (digest === undefined) {
    const hash = new TraceHash();
    hash.bytes(bytes);
    digest = hash.integer();
    digests.set(bytes, digest);
  }
  return digest;
}

/** The trace of one run. */
export class SimTrace {
  private readonly hash = new TraceHash();
  private readonly ring: string[] = [];
  private next = 0;

  /** Adds a delivered message to the hash. */
  event(timeUs: number, { from, to, kind, bytes }: Envelope): void {
    const { hash } = this;
    hash.number(timeUs);
    hash.text(from);
    hash.text(to);
    hash.text(kind);
    if (typeof bytes === "string") hash.text(bytes);
    else hash.bytes(bytes);
  }

  /** Keeps a line for the end of a failed run; it is part of the hash too. */
  line(timeUs: number, who: string, text: string): void {
    this.hash.number(timeUs);
    this.hash.text(text);
    this.ring[this.next % LINES_MAX] = `${(timeUs / 1e6).toFixed(6)} ${who.padEnd(4)} ${text}`;
    this.next++;
  }

  /** Returns the kept lines, oldest first. */
  lines(): string[] {
    const from = this.next % LINES_MAX;
    return [...this.ring.slice(from), ...this.ring.slice(0, from)];
  }

  digest(): string {
    return this.hash.digest();
  }
}
