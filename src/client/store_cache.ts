/** Store id → address, asked from PD once and again after a failure. Bounded by the cluster's size. */
import type { PdClient } from "../pd_client/index.js";
import type { Backoffer } from "./backoff.js";
import { onPdFailure } from "./region_locator.js";

export class StoreCache {
  readonly #pd: PdClient;
  readonly #addresses = new Map<bigint, string>();

  constructor(pd: PdClient) {
    this.#pd = pd;
  }

  /** Returns host:port of a store, undefined if the store is gone for good. */
  async resolve(storeId: bigint, op: Backoffer): Promise<string | undefined> {
    for (;;) {
      const known = this.#addresses.get(storeId);
      if (known !== undefined) return known;
      op.check();
      const reply = await this.#pd.getStore(storeId, { timeoutMs: Math.max(1, op.leftMs()) });
      op.check();
      if (!reply.ok) {
        await onPdFailure(op, reply.error);
        continue;
      }
      const store = reply.value;
      if (store === undefined || store.removed || store.address === "") return undefined;
      this.#addresses.set(storeId, store.address);
    }
  }

  /** Makes the next resolve ask PD. */
  forget(storeId: bigint): void {
    this.#addresses.delete(storeId);
  }
}
