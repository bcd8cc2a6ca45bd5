/**
 * A set of ids from which some can be picked at random in O(1): the regions of a store by role.
 * PURE. The order inside depends on the history of changes only, so the same history and the same
 * random numbers pick the same ids.
 */
import type { Prng } from "../../base/index.js";

export class IdSet {
  private readonly ids: bigint[] = [];
  private readonly positions = new Map<bigint, number>();

  get size(): number {
    return this.ids.length;
  }

  has(id: bigint): boolean {
    return this.positions.has(id);
  }

  add(id: bigint): void {
    if (this.positions.has(id)) return;
    this.positions.set(id, this.ids.length);
    this.ids.push(id);
  }

  delete(id: bigint): void {
    const at = this.positions.get(id);
    if (at === undefined) return;
    const last = this.ids.pop() as bigint;
    this.positions.delete(id);
    if (last === id) return;
    this.ids[at] = last;
    this.positions.set(last, at);
  }

  /**
   * Returns up to `count` different ids: neighbours from a random place on. A set of at most
   * `count` ids is returned whole.
   */
  sample(prng: Prng, count: number): bigint[] {
    const total = this.ids.length;
    if (total === 0) return [];
    const first = prng.below(total);
    const found: bigint[] = [];
    for (let i = 0; i < Math.min(count, total); i++) {
      found.push(this.ids[(first + i) % total] as bigint);
    }
    return found;
  }
}
