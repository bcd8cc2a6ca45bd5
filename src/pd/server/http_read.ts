/** PD's HTTP API: members, cluster, stores and regions as they are. */
import { EMPTY_BYTES } from "../../base/index.js";
import { isRemoved, type RegionInfo, STORE_STATE, type StoreInfo } from "../core/index.js";
import { memberJson, regionJson, storeJson } from "./http_json.js";
import {
  badId,
  bootstrapped,
  fail,
  type HttpDeps,
  ok,
  parseId,
  parseKey,
  type Routes,
} from "./http_route.js";
import type { Json } from "./json.js";
import { PD_VERSION } from "./options.js";

function showStore({ cluster, nowMs }: HttpDeps, store: StoreInfo): Json {
  const load = cluster.basic.storeLoad(store.meta.id);
  return storeJson(store, load, nowMs(), cluster.config);
}

function showRegions(regions: readonly RegionInfo[]): Json {
  return { count: regions.length, regions: regions.map(regionJson) };
}

const MEMBERS: Routes = {
  "GET members": ({ cluster, member }) => {
    const self = memberJson(member());
    const header = { cluster_id: cluster.id };
    return ok({ header, members: [self], leader: self, etcd_leader: self });
  },
  "GET leader": ({ member }) => ok(memberJson(member())),
  "GET health": ({ member }) => {
    const { name, id, clientUrls } = member();
    return ok([{ name, member_id: id, client_urls: [...clientUrls], health: true }]);
  },
  "GET ping": () => ok(""),
  "GET version": () => ok({ version: PD_VERSION }),
  "GET status": ({ startedSeconds }) =>
    ok({
      build_ts: "",
      version: PD_VERSION,
      git_hash: "",
      start_timestamp: startedSeconds,
      kernel_type: "Classic",
    }),
  "GET cluster": ({ cluster }) =>
    ok({ id: cluster.id, max_peer_count: cluster.clusterMeta.maxPeerCount }),
  "GET cluster/status": ({ cluster }) => {
    const bootstrapMs = cluster.raftBootstrapTimeMs;
    return ok({
      raft_bootstrap_time: new Date(bootstrapMs).toISOString(),
      is_initialized: cluster.bootstrapped,
      replication_status: "",
    });
  },
};

const STORES: Routes = bootstrapped({
  "GET stores": (deps, { query }) => {
    const states = query.getAll("state");
    if (states.some((state) => !/^[012]$/.test(state))) {
      return fail(400, `unknown StoreState: ${states.join(",")}`);
    }
    const shown = deps.cluster.basic.getStores().filter(({ meta }) => {
      if (states.length > 0) return states.includes(String(meta.state));
      return meta.state !== STORE_STATE.tombstone && !isRemoved(meta);
    });
    return ok({ count: shown.length, stores: shown.map((store) => showStore(deps, store)) });
  },
  "GET store/{}": (deps, { args: [text = ""] }) => {
    const id = parseId(text);
    if (id === undefined) return badId(text);
    const store = deps.cluster.basic.getStore(id);
    return store === undefined
      ? fail(404, `[PD:core:ErrStoreNotFound]store ${id} not found`)
      : ok(showStore(deps, store));
  },
});

const REGIONS: Routes = bootstrapped({
  "GET regions": ({ cluster }) => {
    return ok(showRegions(cluster.basic.scanRegions(EMPTY_BYTES, EMPTY_BYTES, 0) as RegionInfo[]));
  },
  "GET region/id/{}": ({ cluster }, { args: [text = ""] }) => {
    const id = parseId(text);
    if (id === undefined) return badId(text);
    const region = cluster.basic.getRegion(id);
    return region === undefined ? fail(404, `region ${id} not found`) : ok(regionJson(region));
  },
  "GET region/key/{}": ({ cluster }, { args: [text = ""], query }) => {
    const key = parseKey(text, query.get("format"));
    if (key === undefined) return fail(400, `invalid key ${JSON.stringify(text)}`);
    const region = cluster.basic.tree.search(key);
    return region === undefined ? fail(404, "region not found") : ok(regionJson(region));
  },
  "GET regions/store/{}": ({ cluster }, { args: [text = ""] }) => {
    const id = parseId(text);
    if (id === undefined) return badId(text);
    const all = cluster.basic.scanRegions(EMPTY_BYTES, EMPTY_BYTES, 0) as RegionInfo[];
    return ok(
      showRegions(all.filter(({ meta }) => meta.peers.some((peer) => peer.storeId === id))),
    );
  },
});

export const READ_ROUTES: Routes = { ...MEMBERS, ...STORES, ...REGIONS };
