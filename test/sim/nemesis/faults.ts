/** The kinds of fault. Each begins at once and returns what ends it, if something has to. */
import type { Prng } from "../../../src/base/index.js";
import { regionContains } from "../../../src/pd/core/index.js";
import {
  movePeerOperator,
  removePeerOperator,
  splitRegionOperator,
  transferLeaderOperator,
} from "../../../src/pd/schedule/index.js";
import type { FaultKind } from "../options.js";
import type { FaultStore, FaultTarget } from "./target.js";

/** Undefined: it could not begin now. `end` runs after `lengthUs`, or earlier at the heal. */
export interface Begun {
  readonly text: string;
  readonly end: () => void;
}

type Fault = (target: FaultTarget, prng: Prng, lengthUs: number) => Begun | undefined;

const NOTHING = (): void => undefined;
/** Keeps PD's map, and so the work of a run, small. */
const REGIONS_MAX = 6;
const CRASHED_MAX_SHARE = 2;

function upStores(target: FaultTarget): FaultStore[] {
  return target.stores.filter((store) => store.host.isUp);
}

function pickUp(target: FaultTarget, prng: Prng): FaultStore | undefined {
  const up = upStores(target);
  return up.length === 0 ? undefined : prng.pick(up);
}

/** A store that is up and, in half of the cases, leads something. */
function pickProminent(target: FaultTarget, prng: Prng): FaultStore | undefined {
  const leaders = target.leaderStores();
  const up = upStores(target);
  const leading = up.filter((store) => leaders.includes(store.storeId));
  if (leading.length > 0 && prng.ratio(1, 2)) return prng.pick(leading);
  return up.length === 0 ? undefined : prng.pick(up);
}

const crash: Fault = (target, prng) => {
  const down = target.stores.length - upStores(target).length;
  const mayCrash =
    down === 0 || (down * CRASHED_MAX_SHARE < target.stores.length && prng.ratio(1, 2));
  const store = mayCrash ? pickProminent(target, prng) : undefined;
  if (store === undefined) return undefined;
  store.crash();
  return { text: `crash store ${store.storeId}`, end: () => store.restart() };
};

const pause: Fault = (target, prng, lengthUs) => {
  const store = pickProminent(target, prng);
  if (store === undefined) return undefined;
  store.host.pause(lengthUs);
  return { text: `pause store ${store.storeId} for ${lengthUs} us`, end: NOTHING };
};

const pauseInTurn: Fault = (target, prng, lengthUs) => {
  const store = pickProminent(target, prng);
  if (store === undefined) return undefined;
  store.host.pauseAtRead(prng.below(20), lengthUs);
  return { text: `pause store ${store.storeId} in a turn for ${lengthUs} us`, end: NOTHING };
};

/** Cuts directed links and returns what joins them. */
function cutLinks(target: FaultTarget, links: readonly (readonly [string, string])[]): () => void {
  for (const [from, to] of links) target.network.cut(from, to);
  return () => {
    for (const [from, to] of links) target.network.uncut(from, to);
  };
}

const partitionOneWay: Fault = (target, prng) => {
  const store = pickProminent(target, prng);
  if (store === undefined) return undefined;
  const isOutward = prng.ratio(1, 2);
  const own = store.host.name;
  const links = target.hosts
    .filter((host) => host.name !== own)
    .map(({ name }) => (isOutward ? ([own, name] as const) : ([name, own] as const)));
  const direction = isOutward ? "from" : "to";
  return { text: `nothing gets ${direction} ${own}`, end: cutLinks(target, links) };
};

const partitionHalf: Fault = (target, prng) => {
  const hosts = target.hosts.map((host) => host.name);
  const side = new Set(hosts.filter(() => prng.ratio(1, 2)));
  const links = hosts.flatMap((a) =>
    hosts.filter((b) => side.has(a) !== side.has(b)).map((b) => [a, b] as const),
  );
  if (links.length === 0) return undefined;
  return { text: `partition ${[...side].join(" ")}`, end: cutLinks(target, links) };
};

/** Every store hears a majority, each another one. */
const partitionRing: Fault = (target, prng) => {
  const names = target.stores.map((store) => store.host.name);
  prng.shuffle(names);
  const links = names.map((name, i) => [name, names[(i + 1) % names.length] as string] as const);
  const back = links.map(([from, to]) => [to, from] as const);
  const cut = names.length > 3 ? [...links.slice(0, 2), ...back.slice(0, 2)] : links.slice(0, 1);
  return {
    text: `ring ${cut.map((link) => link.join(">")).join(" ")}`,
    end: cutLinks(target, cut),
  };
};

/** The classic: a leader that clients still reach, and the others do not. */
const isolateLeader: Fault = (target, prng) => {
  const leaders = target.leaderStores();
  if (leaders.length === 0) return undefined;
  const id = prng.pick(leaders);
  const own = target.stores.find((store) => store.storeId === id)?.host.name as string;
  const others = target.stores.map((store) => store.host.name).filter((name) => name !== own);
  const links = [...others, ...(prng.ratio(1, 2) ? [target.pd.host.name] : [])].flatMap((name) => [
    [own, name] as const,
    [name, own] as const,
  ]);
  return { text: `isolate leader ${own}`, end: cutLinks(target, links) };
};

const clog: Fault = (target, prng, lengthUs) => {
  const from = prng.pick(target.hosts);
  const to = prng.pick(target.hosts);
  if (from === to) return undefined;
  target.network.clog(from.name, to.name, from.localUs + lengthUs);
  return { text: `clog ${from.name}>${to.name}`, end: NOTHING };
};

const clockSkew: Fault = (target, prng) => {
  const { host } = prng.pick(target.stores);
  const skewMs = prng.pick([-1, 1]) * prng.pick([11, 100, 500, 5_000, 290_000]);
  host.setWallSkewMs(skewMs);
  return {
    text: `wall clock of ${host.name} off by ${skewMs} ms`,
    end: () => host.setWallSkewMs(0),
  };
};

const clockRate: Fault = (target, prng) => {
  const { host } = prng.pick(target.stores);
  const ratePpm = prng.pick([-20_000, -1_000, 1_000, 20_000]);
  host.setRatePpm(ratePpm);
  return { text: `clock of ${host.name} runs ${ratePpm} ppm off`, end: () => host.setRatePpm(0) };
};

const slowDisk: Fault = (target, prng) => {
  const { disk, storeId } = prng.pick(target.stores);
  disk.slowness = prng.pick([5, 20, 100]);
  const end = (): void => {
    disk.slowness = 1;
  };
  return { text: `disk of store ${storeId} is ${disk.slowness} times slower`, end };
};

const failSync: Fault = (target, prng) => {
  const store = pickUp(target, prng);
  if (store === undefined) return undefined;
  store.disk.failNextSync = true;
  const end = (): void => {
    store.disk.failNextSync = false;
    store.restart();
  };
  return { text: `the next sync of store ${store.storeId} fails`, end };
};

const diskFull: Fault = (target, prng) => {
  const store = pickUp(target, prng);
  if (store === undefined) return undefined;
  store.disk.isFull = true;
  const end = (): void => {
    store.disk.isFull = false;
    store.restart();
  };
  return { text: `disk of store ${store.storeId} is full`, end };
};

const cutSnapshots: Fault = (target, prng) => {
  target.snapshotCutsPerMille = prng.pick([300, 700, 1000]);
  const end = (): void => {
    target.snapshotCutsPerMille = 0;
  };
  return { text: `snapshot streams break ${target.snapshotCutsPerMille} of 1000`, end };
};

const MAKING = { desc: "nemesis", kind: "admin", isUrgent: true, details: {} } as const;

const split: Fault = (target, prng) => {
  const { pd } = target;
  if (pd.regions.length === 0 || pd.regions.length >= REGIONS_MAX) return undefined;
  const count = prng.pick([1, 1, 1, 2]);
  const numbers = [...Array(count)].map(() => prng.below(target.splitPlaces));
  numbers.sort((a, b) => a - b);
  const keys = [...new Set(numbers)].map((n) => target.splitKeyAt(n));
  const home = pd.find(keys[0] as Uint8Array);
  if (home === undefined) return undefined;
  const inside = keys.filter((key) => regionContains(home.meta, key));
  const problem = pd.operate((context) => splitRegionOperator(context, home, inside, MAKING));
  if (problem !== undefined) return undefined;
  return { text: `split region ${home.meta.id} at ${numbers.join(" ")}`, end: NOTHING };
};

const replicaCount: Fault = (target, prng) => {
  const { pd, stores } = target;
  const was = pd.replicas;
  const wanted = stores.length > was && prng.ratio(1, 2) ? was + 1 : was - 1;
  if (wanted < 2 || !pd.isUp) return undefined;
  pd.want(wanted);
  return { text: `${wanted} replicas wanted`, end: () => pd.want(was) };
};

/** Moves a replica: a learner is added, swapped in by a joint change, the old one removed. */
const moveReplica: Fault = (target, prng) => {
  const { regions, storeIds } = target.pd;
  if (regions.length === 0) return undefined;
  const region = prng.pick(regions);
  const { id, peers } = region.meta;
  const free = storeIds.filter((store) => !peers.some((peer) => peer.storeId === store));
  const from = prng.pick(peers).storeId;
  if (free.length === 0) {
    const remove = removePeerOperator;
    const problem = target.pd.operate((context) => remove(context, region, from, MAKING));
    if (problem !== undefined) return undefined;
    return { text: `remove region ${id} from store ${from}`, end: NOTHING };
  }
  const to = prng.pick(free);
  const problem = target.pd.operate((context) =>
    movePeerOperator(context, region, from, to, MAKING),
  );
  if (problem !== undefined) return undefined;
  return { text: `move region ${id} from store ${from} to ${to}`, end: NOTHING };
};

const transferLeader: Fault = (target, prng) => {
  const { regions } = target.pd;
  if (regions.length === 0) return undefined;
  const moved: string[] = [];
  for (let i = prng.range(1, 4); i > 0; i--) {
    const region = prng.pick(regions);
    const to = prng.pick(region.meta.peers).storeId;
    const problem = target.pd.operate((context) =>
      transferLeaderOperator(context, region, to, MAKING),
    );
    if (problem === undefined) moved.push(`${region.meta.id} to ${to}`);
  }
  return moved.length === 0 ? undefined : { text: `lead ${moved.join(", ")}`, end: NOTHING };
};

const pdLoss: Fault = (target, prng, lengthUs) => {
  const { pd } = target;
  if (!pd.isUp) return undefined;
  if (prng.ratio(1, 2)) {
    pd.host.pause(lengthUs);
    return { text: "PD is silent", end: NOTHING };
  }
  pd.crash();
  return { text: "crash PD", end: () => pd.start() };
};

export const FAULTS: Readonly<Record<FaultKind, Fault>> = {
  crash,
  pause,
  pauseInTurn,
  partitionOneWay,
  partitionHalf,
  partitionRing,
  isolateLeader,
  clog,
  clockSkew,
  clockRate,
  slowDisk,
  failSync,
  diskFull,
  cutSnapshots,
  split,
  replicaCount,
  moveReplica,
  transferLeader,
  pdLoss,
};
