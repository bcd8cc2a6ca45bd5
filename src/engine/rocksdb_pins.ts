/**
 * Pins: how the worker keeps a moment of the database without snapshot handles. A pin is a forward
 * and a reverse iterator that see the same state; point reads on it are seeks, scans share the two.
 *
 * While no native write is under way two iterators created one after the other see the same state.
 * Otherwise the write may fall between them: forward would see the state before it, reverse the
 * one after. So every native write carries a marker record with a new value, and a pin is taken
 * again until both iterators show the same marker.
 */
import { assert, compareBytes, equalBytes, TikvError } from "../base/index.js";
import type { NativeDb, NativeIterator } from "./rocksdb_native.js";

/** The key of the marker: below all CF prefixes, so that no read of a CF meets it. */
export const MARKER_KEY = Uint8Array.of(0, 0x6d);

/** Times a pin is taken again because a write fell between its iterators; it never needs a few. */
const PIN_TRIES_MAX = 100;

/** One direction of a pin: a native iterator, what it has read ahead, and where it stands. */
export class Cursor {
  readonly reverse: boolean;
  private readonly native: NativeIterator;
  private pairs: Uint8Array[] = [];
  private finished = false;
  /** The key given last; what follows it is in `pairs`, then in `native`. */
  private lastKey: Uint8Array | undefined;

  constructor(native: NativeIterator, reverse: boolean) {
    this.native = native;
    this.reverse = reverse;
  }

  /** Moves so that `next` gives the entry at or behind `start`, or only behind when `!inclusive`. */
  async seek(start: Uint8Array, inclusive: boolean): Promise<void> {
    const lastKey = this.lastKey;
    if (!inclusive && lastKey !== undefined && equalBytes(lastKey, start)) return;
    this.native.seek(start);
    this.pairs = [];
    this.finished = false;
    this.lastKey = undefined;
    if (inclusive) return;
    if (!(await this.fill())) return;
    const first = this.pairs[this.pairs.length - 1] as Uint8Array;
    if (equalBytes(first, start)) this.pairs.length -= 2;
  }

  /** Returns the key of the next entry without moving; undefined at the end. */
  async peek(): Promise<Uint8Array | undefined> {
    return (await this.fill()) ? this.pairs[this.pairs.length - 1] : undefined;
  }

  /** The key of the next entry if it is read ahead already. */
  peekNow(): Uint8Array | undefined {
    return this.pairs[this.pairs.length - 1];
  }

  /** Takes the entry that `peek` showed and returns its value. */
  take(): Uint8Array {
    assert(this.pairs.length >= 2, "an entry was seen before it is taken");
    this.lastKey = this.pairs.pop();
    return this.pairs.pop() as Uint8Array;
  }

  end(): Promise<void> {
    return this.native.end();
  }

  private async fill(): Promise<boolean> {
    while (this.pairs.length === 0) {
      if (this.finished) return false;
      const chunk = await this.native.next();
      this.pairs = chunk.reversedPairs;
      this.finished = chunk.finished;
    }
    return true;
  }
}

export interface Pin {
  readonly forward: Cursor;
  readonly reverse: Cursor;
}

export class Pins {
  private readonly db: NativeDb;
  private readonly open = new Map<number, Pin>();

  constructor(db: NativeDb) {
    this.db = db;
  }

  /** Opens a pin while no native write is under way. */
  pin(id: number): void {
    this.open.set(id, this.take());
  }

  /** Opens a pin at any time: takes it again until both iterators show the same marker. */
  async pinDuringWrite(id: number): Promise<void> {
    for (let tries = 0; tries < PIN_TRIES_MAX; tries++) {
      const pin = this.take();
      const [forward, reverse] = await Promise.all([markerOf(pin.forward), markerOf(pin.reverse)]);
      if (sameMarker(forward, reverse)) {
        this.open.set(id, pin);
        return;
      }
      await endPin(pin);
    }
    throw new TikvError("KV:Engine:Engine", "writes fell between the iterators of every snapshot");
  }

  get(id: number): Pin {
    const pin = this.open.get(id);
    assert(pin !== undefined, "the pin of a read is open");
    return pin;
  }

  async unpin(id: number): Promise<void> {
    const pin = this.get(id);
    this.open.delete(id);
    await endPin(pin);
  }

  private take(): Pin {
    const forward = new Cursor(this.db.iterator(false), false);
    return { forward, reverse: new Cursor(this.db.iterator(true), true) };
  }
}

async function endPin(pin: Pin): Promise<void> {
  await Promise.all([pin.forward.end(), pin.reverse.end()]);
}

async function markerOf(cursor: Cursor): Promise<Uint8Array | undefined> {
  await cursor.seek(MARKER_KEY, true);
  const key = await cursor.peek();
  return key !== undefined && compareBytes(key, MARKER_KEY) === 0 ? cursor.take() : undefined;
}

function sameMarker(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
