/**
 * Copies many pieces of native memory out with one JS allocation a block: a slice of its own for
 * each piece costs several times as much as its bytes. Hot path.
 */
import { type NativeDatabase, SCRATCH_AT } from "./librocksdb_native.js";

/** A caller that keeps one piece keeps its block, so blocks are small. */
const BLOCK_BYTES_MAX = 64 * 1024;

/** Uses the scratch block between the first `add` and `finish`: no other call may in between. */
export class PieceBlock {
  private readonly database: NativeDatabase;
  private readonly pieces: Uint8Array[] = [];
  private readonly lengths: number[] = [];
  private end = SCRATCH_AT;

  constructor(database: NativeDatabase) {
    this.database = database;
  }

  /** Copies a piece. */
  add(address: number, length: number): void {
    if (this.end - SCRATCH_AT + length > BLOCK_BYTES_MAX) this.flush();
    if (length > BLOCK_BYTES_MAX) {
      this.pieces.push(this.database.copyOut(address, length));
      return;
    }
    const { api, block } = this.database;
    if (length > 0) api.memcpy(block.address + this.end, address, length);
    this.end += length;
    this.lengths.push(length);
  }

  /** Returns all pieces in the order of `add`; the caller owns them. */
  finish(): Uint8Array[] {
    this.flush();
    return this.pieces;
  }

  private flush(): void {
    const { pieces, lengths } = this;
    const copy = this.database.block.bytes.slice(SCRATCH_AT, this.end);
    let at = 0;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i] as number;
      pieces.push(copy.subarray(at, at + length));
      at += length;
    }
    lengths.length = 0;
    this.end = SCRATCH_AT;
  }
}
