/** Store id → address, asked from PD once and again after a failure. Bounded by the cluster's size. */
import type { PdReply, StoreRecord } from "../pd_client/index.js";
import type { Backoffer } from "./backoff.js";
import type { ClientPd } from "./ports.js";
import { onPdFailure } from "./region_locator.js";

export class StoreCache {
  readonly #pd: ClientPd;
  readonly #addresses = new Map<bigint, string>();
  /** Questions that are under way; whoever wants the same store waits for the same answer. */
  readonly #asked = new Map<bigint, Promise<PdReply<StoreRecord | undefined>>>();

  constructor(pd: ClientPd) {
    this.#pd = pd;
  }

  /** Returns host:port of a store, undefined if the store is gone for good. */
  async resolve(storeId: bigint, op: Backoffer): Promise<string | undefined> {
    for (;;) {
      const known = this.#addresses.get(storeId);
      if (known !== undefined) return known;
      const reply = await this.#ask(storeId);
      op.check();
      if (!reply.ok) {
        await onPdFailure(op, reply.error);
        continue;
      }
      const store = reply.value;
      if (store === undefined || store.removed || store.address === "") return undefined;
      return store.address;
    }
  }

  /** Makes the next resolve ask PD. */
  forget(storeId: bigint): void {
    this.#addresses.delete(storeId);
  }

  #ask(storeId: bigint): Promise<PdReply<StoreRecord | undefined>> {
    let asked = this.#asked.get(storeId);
    if (asked === undefined) {
      asked = this.#pd.getStore(storeId).then((reply) => {
        this.#asked.delete(storeId);
        const store = reply.ok ? reply.value : undefined;
        if (store !== undefined && !store.removed && store.address !== "") {
          this.#addresses.set(storeId, store.address);
        }
        return reply;
      });
      this.#asked.set(storeId, asked);
    }
    return asked;
  }
}
