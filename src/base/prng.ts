/**
 * The only source of randomness of pure code: a seeded xoshiro128** generator, integers only, so
 * that one seed gives the same numbers on every machine. Not for secrets.
 */
import { assert } from "./assert.js";

const GOLDEN_GAMMA = 0x9e37_79b9;
const U32_RANGE = 0x1_0000_0000;

/** Spreads a 32-bit counter over all bits; seeds the generator's state. */
function mix32(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0_aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a_2d97);
  return x ^ (x >>> 15);
}

function rotateLeft(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}

/** A random sequence. Invariant: the state is never all zero. */
export class Prng {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  /** `seed` is taken modulo 2^64. */
  constructor(seed: bigint) {
    const low = Number(BigInt.asUintN(32, seed)) | 0;
    const high = Number(BigInt.asUintN(32, seed >> 32n)) | 0;
    this.a = mix32(low + GOLDEN_GAMMA);
    this.b = mix32(high + Math.imul(2, GOLDEN_GAMMA));
    this.c = mix32((low ^ rotateLeft(high, 16)) + Math.imul(3, GOLDEN_GAMMA));
    this.d = mix32(this.a + Math.imul(4, GOLDEN_GAMMA));
    if ((this.a | this.b | this.c | this.d) === 0) this.a = 1;
  }

  /** Returns 0 ≤ n < 2^32. */
  nextU32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.b, 5), 7), 9) >>> 0;
    const shifted = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= shifted;
    this.d = rotateLeft(this.d, 11);
    return result;
  }

  /** Returns 0 ≤ n < `bound`, each equally likely; asserts 1 ≤ bound ≤ 2^32. */
  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= U32_RANGE, "bound is 1 to 2^32");
    const fair = U32_RANGE - (U32_RANGE % bound);
    let value = this.nextU32();
    while (value >= fair) value = this.nextU32();
    return value % bound;
  }

  /** Returns start ≤ n < end. */
  range(start: number, end: number): number {
    return start + this.below(end - start);
  }

  /** Returns true `numerator` times of `denominator`. */
  ratio(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator;
  }

  /** Returns one of `items`; asserts that there is one. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** Orders `items` at random, in place. */
  shuffle<T>(items: T[]): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const item = items[i] as T;
      items[i] = items[j] as T;
      items[j] = item;
    }
  }
}
