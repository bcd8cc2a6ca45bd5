/**
 * FarmHash Fingerprint64, the hash by which stores name a key to each other in deadlock detection.
 * Stores of other makes compute it too, so its value is part of the protocol. Cold: once per lock
 * wait. Source: google/farmhash, farmhashna::Hash64; tikv txn_types Key::gen_hash.
 */
const K0 = 0xc3a5c85c97cb3127n;
const K1 = 0xb492b66fbe98f273n;
const K2 = 0x9ae16a3b2f90404fn;

const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotate = (value: bigint, bits: bigint): bigint =>
  wrap((value >> bits) | (value << (64n - bits)));
const shiftMix = (value: bigint): bigint => value ^ (value >> 47n);

/** Mixes two halves into one. */
function mix(u: bigint, v: bigint, factor: bigint): bigint {
  const a = shiftMix(wrap((u ^ v) * factor));
  const b = shiftMix(wrap((v ^ a) * factor));
  return wrap(b * factor);
}

/** Returns the 64-bit fingerprint of `bytes`. */
export function fingerprint64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length <= 16) return upTo16(view);
  if (bytes.length <= 32) return upTo32(view);
  if (bytes.length <= 64) return upTo64(view);
  return longer(view);
}

function upTo16(view: DataView): bigint {
  const length = view.byteLength;
  const factor = K2 + BigInt(length * 2);
  if (length >= 8) {
    const a = wrap(view.getBigUint64(0, true) + K2);
    const b = view.getBigUint64(length - 8, true);
    const c = wrap(rotate(b, 37n) * factor + a);
    return mix(c, wrap((rotate(a, 25n) + b) * factor), wrap(factor));
  }
  if (length >= 4) {
    const first = BigInt(view.getUint32(0, true));
    const last = BigInt(view.getUint32(length - 4, true));
    return mix(BigInt(length) + (first << 3n), last, wrap(factor));
  }
  if (length === 0) return K2;
  const y = BigInt(view.getUint8(0) + (view.getUint8(length >> 1) << 8));
  const z = BigInt(length + (view.getUint8(length - 1) << 2));
  return wrap(shiftMix(wrap(wrap(y * K2) ^ wrap(z * K0))) * K2);
}

function upTo32(view: DataView): bigint {
  const length = view.byteLength;
  const factor = wrap(K2 + BigInt(length * 2));
  const a = wrap(view.getBigUint64(0, true) * K1);
  const b = view.getBigUint64(8, true);
  const c = wrap(view.getBigUint64(length - 8, true) * factor);
  const d = wrap(view.getBigUint64(length - 16, true) * K2);
  const u = wrap(rotate(wrap(a + b), 43n) + rotate(c, 30n) + d);
  return mix(u, wrap(a + rotate(wrap(b + K2), 18n) + c), factor);
}

function upTo64(view: DataView): bigint {
  const length = view.byteLength;
  const factor = wrap(K2 + BigInt(length * 2));
  const a = wrap(view.getBigUint64(0, true) * K2);
  const b = view.getBigUint64(8, true);
  const c = wrap(view.getBigUint64(length - 8, true) * factor);
  const d = wrap(view.getBigUint64(length - 16, true) * K2);
  const y = wrap(rotate(wrap(a + b), 43n) + rotate(c, 30n) + d);
  const z = mix(y, wrap(a + rotate(wrap(b + K2), 18n) + c), factor);
  const e = wrap(view.getBigUint64(16, true) * factor);
  const f = view.getBigUint64(24, true);
  const g = wrap((y + view.getBigUint64(length - 32, true)) * factor);
  const h = wrap((z + view.getBigUint64(length - 24, true)) * factor);
  const u = wrap(rotate(wrap(e + f), 43n) + rotate(g, 30n) + h);
  return mix(u, wrap(e + rotate(wrap(f + a), 18n) + g), factor);
}

/** 56 bytes of state that eat 64 bytes a round. */
class State {
  v: readonly [bigint, bigint] = [0n, 0n];
  w: readonly [bigint, bigint] = [0n, 0n];

  constructor(
    private readonly view: DataView,
    public x: bigint,
    public y: bigint,
    public z: bigint,
  ) {}

  /** `scale` is 1n but for the last round, which weighs the state more. */
  round(at: number, factor: bigint, scale: bigint): void {
    const view = this.view;
    const word = (offset: number): bigint => view.getBigUint64(at + offset, true);
    this.x = wrap(rotate(wrap(this.x + this.y + this.v[0] + word(8)), 37n) * factor);
    this.y = wrap(rotate(wrap(this.y + this.v[1] + word(48)), 42n) * factor);
    this.x ^= wrap(this.w[1] * scale);
    this.y = wrap(this.y + this.v[0] * scale + word(40));
    this.z = wrap(rotate(wrap(this.z + this.w[0]), 33n) * factor);
    this.v = weakHash32(view, at, wrap(this.v[1] * factor), wrap(this.x + this.w[0]));
    this.w = weakHash32(view, at + 32, wrap(this.z + this.w[1]), wrap(this.y + word(16)));
    [this.x, this.z] = [this.z, this.x];
  }
}

function weakHash32(view: DataView, at: number, seedA: bigint, seedB: bigint): [bigint, bigint] {
  const word = (index: number): bigint => view.getBigUint64(at + index * 8, true);
  const a = wrap(seedA + word(0));
  const sum = wrap(a + word(1) + word(2));
  const b = wrap(rotate(wrap(seedB + a + word(3)), 21n) + rotate(sum, 44n));
  return [wrap(sum + word(3)), wrap(b + a)];
}

function longer(view: DataView): bigint {
  const rest = (view.byteLength - 1) & 63;
  const end = view.byteLength - 1 - rest;
  const seed = 81n;
  const y = wrap(seed * K1 + 113n);
  const z = wrap(shiftMix(wrap(y * K2 + 113n)) * K2);
  const state = new State(view, wrap(seed * K2 + view.getBigUint64(0, true)), y, z);
  for (let at = 0; at < end; at += 64) state.round(at, K1, 1n);
  const factor = wrap(K1 + ((state.z & 0xffn) << 1n));
  const w0 = wrap(state.w[0] + BigInt(rest));
  const v0 = wrap(state.v[0] + w0);
  state.v = [v0, state.v[1]];
  state.w = [wrap(w0 + v0), state.w[1]];
  state.round(end + rest - 63, factor, 9n);
  const first = mix(state.v[0], state.w[0], factor);
  const second = mix(state.v[1], state.w[1], factor);
  const tail = wrap(first + shiftMix(state.y) * K0 + state.z);
  return mix(tail, wrap(second + state.x), factor);
}
