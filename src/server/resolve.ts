/**
 * Addresses of stores, asked of PD once and kept until they fail. Source: tikv
 * src/server/resolve.rs.
 */
import type { SchedulePort } from "../raftstore/index.js";
import type { RaftCounters } from "./raft_metrics.js";

/** "removed": PD has given the store up for good. "failed": not known now, ask again later. */
export type Resolved = { readonly address: string } | "removed" | "failed";

export class StoreResolver {
  readonly #known = new Map<number, string>();
  /** Questions under way; whoever asks meanwhile gets the same answer. */
  readonly #asked = new Map<number, Promise<Resolved>>();

  constructor(
    private readonly pd: Pick<SchedulePort, "getStoreAddress">,
    private readonly counters: RaftCounters,
  ) {}

  /** Answers where a store is; never rejects. */
  async resolve(storeId: number): Promise<Resolved> {
    const address = this.#known.get(storeId);
    if (address !== undefined) return { address };
    const asked = this.#asked.get(storeId) ?? this.#ask(storeId);
    this.#asked.set(storeId, asked);
    return asked;
  }

  /** Forgets an address that did not answer: the store may have moved. */
  forget(storeId: number): void {
    this.#known.delete(storeId);
  }

  async #ask(storeId: number): Promise<Resolved> {
    const { resolved } = this.counters;
    resolved.resolve++;
    try {
      const reply = await this.pd.getStoreAddress(BigInt(storeId));
      if (!reply.ok) {
        if (reply.error.kind === "storeTombstone") return this.#removed();
        resolved.failed++;
        return "failed";
      }
      if (reply.value.removed) return this.#removed();
      resolved.success++;
      this.#known.set(storeId, reply.value.address);
      return { address: reply.value.address };
    } finally {
      this.#asked.delete(storeId);
    }
  }

  #removed(): Resolved {
    this.counters.resolved.tombstone++;
    return "removed";
  }
}
