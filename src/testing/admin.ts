/** What a Cluster asks PD and stores for: regions, splits, leaders, the end of a store. */
import { compareBytes } from "../base/index.js";
import { fromBigInt, methodInfo } from "../pb/index.js";
import {
  callUnary,
  type LocatedRegion,
  openChannel,
  PdClient,
  type PdReply,
  type StoreRecord,
} from "../pd_client/index.js";
import { ClusterError } from "./options.js";
import { POLL_MS, until } from "./poll.js";

const SPLIT_REGION = methodInfo("tikvpb.Tikv", "SplitRegion");
const REGIONS_MAX = 10_000;
const REQUEST_MS = 5000;
/** How long PD may be without an answer: on a busy machine, or while it starts. */
const PATIENCE_MS = 20_000;
const EMPTY = new Uint8Array(0);
/** metapb.PeerRole. */
const VOTER = 0;

export class Admin {
  readonly #pd: PdClient;
  readonly #pdAddress: string;
  #isClosed = false;

  /** `pdAddress`: host:port, not behind anything that can be cut. */
  constructor(pdAddress: string) {
    this.#pdAddress = pdAddress;
    this.#pd = new PdClient({ endpoints: [pdAddress] });
  }

  close(): void {
    this.#isClosed = true;
    this.#pd.close();
  }

  /** Returns all regions in key order, as far as PD knows them. */
  async regions(): Promise<LocatedRegion[]> {
    return await this.#must(() => this.#pd.scanRegions(EMPTY, EMPTY, REGIONS_MAX));
  }

  /** Returns the stores; with those that are gone. */
  async stores(): Promise<StoreRecord[]> {
    return await this.#must(() => this.#pd.getAllStores(true));
  }

  /** Returns how many replicas PD wants of a region. */
  async maxReplicas(): Promise<number> {
    return (await this.#must(() => this.#pd.getClusterConfig())).maxPeerCount;
  }

  /** Returns what is missing until every key has a leader and all its replicas. */
  async missing(stores: number): Promise<string | undefined> {
    const [regions, config] = [
      await this.#pd.scanRegions(EMPTY, EMPTY, REGIONS_MAX),
      await this.#pd.getClusterConfig(),
    ];
    if (!regions.ok) return regions.error.message;
    if (!config.ok) return config.error.message;
    const replicas = Math.min(config.value.maxPeerCount, stores);
    let next = EMPTY;
    for (const region of regions.value) {
      if (compareBytes(region.startKey, next) !== 0) return `no region before ${region.id}`;
      const wrong = wrongWith(region, replicas);
      if (wrong !== undefined) return `region ${region.id} ${wrong}`;
      next = new Uint8Array(region.endKey);
    }
    if (regions.value.length === 0) return "no region";
    return next.length === 0 ? undefined : "no last region";
  }

  /** Splits the region of `key` there and waits until PD knows. */
  async splitAt(key: Uint8Array, limitMs: number): Promise<LocatedRegion> {
    await until(limitMs, "split", async () => {
      const region = await this.#must(() => this.#pd.getRegion(key));
      if (region === undefined) return "PD knows no region of the key";
      if (compareBytes(region.startKey, key) === 0) return undefined;
      return (await this.#split(region, key)) ?? "PD does not know of the split";
    });
    return (await this.#must(() => this.#pd.getRegion(key))) as LocatedRegion;
  }

  /** Asks PD to move the leader of a region and waits until it has. */
  async transferLeader(regionId: bigint, storeId: bigint, limitMs: number): Promise<void> {
    await until(limitMs, "leader transfer", async () => {
      const region = await this.#must(() => this.#pd.getRegionById(regionId));
      if (region?.leader?.storeId === storeId) return undefined;
      const body = {
        name: "transfer-leader",
        region_id: Number(regionId),
        to_store_id: Number(storeId),
      };
      const wrong = await this.#http("POST", "operators", body);
      return wrong ?? `the leader is on store ${region?.leader?.storeId ?? "none"}`;
    });
  }

  /** Asks PD to move everything away from a store and waits until it is a tombstone. */
  async removeStore(storeId: bigint, limitMs: number): Promise<void> {
    await until(limitMs, `removal of store ${storeId}`, async () => {
      const store = (await this.stores()).find(({ id }) => id === storeId);
      if (store === undefined || store.removed) return undefined;
      const wrong =
        store.state === "Up" ? await this.#http("DELETE", `store/${storeId}`) : undefined;
      return wrong ?? `it is ${store.state}`;
    });
  }

  /** Asks PD until it answers; throws ClusterError when it refuses, or does not answer in time. */
  async #must<T>(ask: () => Promise<PdReply<T>>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const reply = await ask();
      if (reply.ok) return reply.value;
      const { kind, message } = reply.error;
      const isOver = this.#isClosed || performance.now() > deadline;
      if (kind !== "unavailable" || isOver) throw new ClusterError(`PD: ${message}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #split(region: LocatedRegion, key: Uint8Array): Promise<string | undefined> {
    const store = (await this.stores()).find(({ id }) => id === region.leader?.storeId);
    if (store === undefined || region.leader === undefined) return "the region has no leader";
    const channel = openChannel(store.address);
    try {
      const { confVer, id, leader, version } = region;
      const context = {
        regionId: fromBigInt(id),
        regionEpoch: { confVer: fromBigInt(confVer), version: fromBigInt(version) },
        peer: { id: fromBigInt(leader.id), storeId: fromBigInt(leader.storeId) },
      };
      const request = { context, splitKeys: [key], isRawKv: true };
      const reply = await callUnary(channel, SPLIT_REGION, request, REQUEST_MS);
      if (!reply.ok) return reply.error.message;
      return reply.value.regionError?.message ?? undefined;
    } finally {
      channel.close();
    }
  }

  /** Returns PD's words when it refuses. */
  async #http(method: string, path: string, body?: object): Promise<string | undefined> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const answer = await fetch(`http://${this.#pdAddress}/pd/api/v1/${path}`, init);
    const text = await answer.text();
    return answer.ok ? undefined : text.trim();
  }
}

function wrongWith(region: LocatedRegion, replicas: number): string | undefined {
  const { downPeerIds, leader, peers, pendingPeerIds } = region;
  if (leader === undefined) return "has no leader";
  if (peers.length !== replicas) return `has ${peers.length} peers of ${replicas}`;
  // A learner is there, but has no vote: the region could not lose anybody yet.
  if (peers.some(({ role }) => role !== VOTER)) return "has peers that are no voters yet";
  if (downPeerIds.length > 0) return `has down peers ${downPeerIds.join(", ")}`;
  if (pendingPeerIds.length > 0) return `has peers that lag: ${pendingPeerIds.join(", ")}`;
  return undefined;
}
