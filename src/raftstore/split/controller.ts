/**
 * When a leader looks at its region's size, and what it knows of it. Pure.
 * Not here: the walk (check.ts). Source: tikv raftstore/store/fsm/peer.rs
 * on_split_region_check_tick, on_approximate_region_size.
 */
import type { ApplyRes, SplitCheckResult } from "../messages.js";
import type { Approximate } from "./approximate.js";

export interface SplitControllerOptions {
  /** Growth after which a region is looked at again, bytes. */
  readonly regionSplitCheckDiffBytes: number;
}

/** One region's sizes, as its peer knows them. */
export class SplitController {
  readonly #options: SplitControllerOptions;
  /** Bytes written since the last look; a new peer knows nothing and looks at once. */
  #grown: number;
  #sizeBytes = 0;
  #keys = 0;
  /** Whether the sizes start from a look, or from nothing. */
  #known = false;
  #checking = false;

  constructor(options: SplitControllerOptions) {
    this.#options = options;
    this.#grown = options.regionSplitCheckDiffBytes;
  }

  /** Bytes and keys as of the last look, and what was written since; all that is known here. */
  get counted(): Approximate {
    return { sizeBytes: this.#sizeBytes, keys: this.#keys };
  }

  /** Returns the region's sizes for heartbeats; undefined as long as nobody has looked. */
  sizes(): Approximate | undefined {
    return this.#known ? this.counted : undefined;
  }

  /** Counts what was applied. Deletes count as growth until the next look. */
  onApplied({ writtenBytes, writtenKeys }: ApplyRes): void {
    this.#grown += writtenBytes;
    this.#sizeBytes += writtenBytes;
    this.#keys += writtenKeys;
  }

  /**
   * Split-check tick of a leader; returns whether to look at the region now. Exactly one look is
   * under way: `onChecked` or `onCheckFailed` ends it.
   */
  onTick(): boolean {
    if (this.#checking || this.#grown < this.#options.regionSplitCheckDiffBytes) return false;
    this.#checking = true;
    this.#grown = 0;
    return true;
  }

  /**
   * Takes the result of a look at the region of version `version`, the newest here. Returns split
   * keys to act on: none when the region has changed meanwhile, it is looked at again then.
   */
  onChecked(result: SplitCheckResult, version: bigint): readonly Uint8Array[] {
    this.#checking = false;
    if (result.version !== version) {
      this.#grown = this.#options.regionSplitCheckDiffBytes;
      return [];
    }
    this.#known = true;
    this.#sizeBytes = result.sizeBytes + this.#grown;
    this.#keys = result.keys;
    return result.splitKeys;
  }

  /** A split that was wanted did not come about: look again at the next tick. */
  onSplitFailed(): void {
    this.#grown = Math.max(this.#grown, this.#options.regionSplitCheckDiffBytes);
  }

  /** The region was split into `parts`; what is left is looked at soon, to know its size. */
  onSplit(parts: number): void {
    this.#sizeBytes = Math.floor(this.#sizeBytes / parts);
    this.#keys = Math.floor(this.#keys / parts);
    this.#grown = this.#options.regionSplitCheckDiffBytes;
  }
}
