/**
 * A naive model of regions that apply logs: one map of data, regions as plain objects, everything
 * at once. It makes random logs and knows, for each region and index, what must be there.
 */
import { type Prng, utf8 } from "../../src/base/index.js";
import { WriteBatchBuilder } from "../../src/engine/index.js";
import { type Entry, EntryType, encodeConfChange } from "../../src/raft/index.js";
import {
  type CommandHeader,
  confChange,
  encodeAdmin,
  encodeWrites,
  type LoggedAdmin,
} from "../../src/raftstore/cmd_codec.js";
import type { PeerChange, SplitPart } from "../../src/raftstore/commands.js";
import type { RegionInfo } from "../../src/raftstore/index.js";

type Role = "V" | "L" | "I" | "D";
const ROLES: readonly Role[] = ["V", "L", "I", "D"];

interface ModelPeer {
  id: number;
  role: Role;
}

/** What must be there when a region has applied up to an index. */
export interface ModelMoment {
  readonly region: string;
  /** The data of its range, as lines "key=value". */
  readonly data: string;
}

export class ModelRegion {
  readonly log: Entry[] = [];
  /** By index; the first is the state that the region was made with. */
  readonly moments = new Map<number, ModelMoment>();
  /** By index: "ok" or the kind of the refusal. */
  readonly answers = new Map<number, string>();
  peers = new Map<number, ModelPeer>();
  term = 6;
  truncated = 5;
  removed = false;

  constructor(
    readonly id: number,
    public start: string,
    public end: string,
    public confVer: number,
    public version: number,
  ) {}

  get index(): number {
    return 5 + this.log.length;
  }

  holds(key: string): boolean {
    return key >= this.start && (this.end === "" || key < this.end);
  }

  /** One line; showRegion makes the same of a real one. */
  show(): string {
    const peers = [...this.peers].map(([store, { id, role }]) => `${id}@${store}${role}`).join(" ");
    const state = this.removed ? "removed " : "";
    return `${state}${this.id}[${this.start},${this.end}) ${this.confVer}/${this.version} ${peers}`;
  }
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const KEYS = [...LETTERS].flatMap((a) => [...LETTERS].map((b) => a + b));

export class ApplyModel {
  readonly data = new Map<string, string>();
  readonly regions = new Map<number, ModelRegion>();
  #nextId = 100;
  #values = 0;

  constructor(private readonly prng: Prng) {
    const first = new ModelRegion(2, "", "", 3, 4);
    for (const store of [1, 2, 3]) first.peers.set(store, { id: 10 + store, role: "V" });
    this.#add(first);
  }

  /** Appends one random entry to the log of a random region, and applies it. */
  step(): void {
    const live = [...this.regions.values()].filter((region) => !region.removed);
    if (live.length === 0) return;
    const region = live[this.#below(live.length)] as ModelRegion;
    const dice = this.#below(100);
    if (dice < 8) this.#empty(region);
    else if (dice < 70) this.#write(region);
    else if (dice < 84) this.#confChange(region);
    else if (dice < 92) this.#split(region);
    else this.#compact(region);
  }

  /** All data as lines. */
  dump(region?: ModelRegion): string {
    return [...this.data]
      .filter(([key]) => region === undefined || region.holds(key))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key}=${value}`)
      .join("\n");
  }

  #below(bound: number): number {
    return this.prng.below(bound);
  }

  #add(region: ModelRegion): void {
    this.regions.set(region.id, region);
    this.#remember(region);
  }

  #remember(region: ModelRegion): void {
    region.moments.set(region.index, { region: region.show(), data: this.dump(region) });
  }

  #append(
    region: ModelRegion,
    data: Uint8Array,
    answer: string,
    type: EntryType = EntryType.Normal,
  ): void {
    const index = region.index + 1;
    region.log.push({ type, term: region.term, index, data, context: new Uint8Array(0) });
    region.answers.set(index, answer);
    this.#remember(region);
  }

  /** The proposer's header; in one of ten its epoch is off by one in each field or in one. */
  #header(region: ModelRegion): { header: CommandHeader; verOff: number; confOff: number } {
    const odd = this.#below(10) === 0;
    const verOff = odd ? this.#below(3) - 1 : 0;
    const confOff = odd ? this.#below(3) - 1 : 0;
    const header = {
      regionId: region.id,
      peer: { id: 11, storeId: 1, role: 0 as const },
      confVer: region.confVer + confOff,
      version: region.version + verOff,
      term: region.term,
    };
    return { header, verOff, confOff };
  }

  #empty(region: ModelRegion): void {
    region.term += this.#below(2);
    this.#append(region, new Uint8Array(0), "ok");
  }

  #keyIn(region: ModelRegion): string | undefined {
    const keys = KEYS.filter((key) => region.holds(key));
    return keys[this.#below(keys.length || 1)];
  }

  #write(region: ModelRegion): void {
    const batch = new WriteBatchBuilder();
    const { header, verOff } = this.#header(region);
    const applies = verOff === 0;
    for (let i = this.#below(4); i >= 0; i--) {
      const key = this.#keyIn(region);
      if (key === undefined) continue;
      const dice = this.#below(10);
      if (dice === 0) {
        const to = this.#keyIn(region) as string;
        batch.deleteRange("default", utf8(`z${key}`), utf8(`z${to}`));
        if (!applies) continue;
        for (const one of [...this.data.keys()]) if (one >= key && one < to) this.data.delete(one);
      } else if (dice < 3) {
        batch.delete("default", utf8(`z${key}`));
        if (applies) this.data.delete(key);
      } else {
        const value = `v${this.#values++}`;
        batch.put("default", utf8(`z${key}`), utf8(value));
        if (applies) this.data.set(key, value);
      }
    }
    const bytes = encodeWrites(header, [batch.bytes()]);
    this.#append(region, bytes, applies ? "ok" : "epochNotMatch");
  }

  #confChange(region: ModelRegion): void {
    const { header, confOff } = this.#header(region);
    const joint = [...region.peers.values()].some(({ role }) => role === "I" || role === "D");
    const count = joint && this.#below(3) > 0 ? 0 : 1 + this.#below(3);
    const changes = Array.from({ length: count }, () => this.#randomChange(region));
    const data = encodeConfChange(confChange(header, changes));
    const peers = confOff === 0 ? changed(region.peers, changes) : undefined;
    let answer = confOff === 0 ? "other" : "epochNotMatch";
    if (peers !== undefined) {
      answer = "ok";
      const roles = [...region.peers.values()].filter(({ role }) => role === "I" || role === "D");
      region.confVer += changes.length === 0 ? roles.length : changes.length;
      region.peers = peers;
      region.removed = !peers.has(1);
    }
    this.#append(region, data, answer, EntryType.ConfChangeV2);
  }

  #randomChange(region: ModelRegion): PeerChange {
    const store = this.#below(12) === 0 ? 1 : 2 + this.#below(5);
    const known = region.peers.get(store)?.id;
    const id = known !== undefined && this.#below(6) > 0 ? known : this.#nextId++;
    const type = this.#below(3) as PeerChange["type"];
    const role = type === 2 ? 1 : 0;
    return { type, peer: { id: BigInt(id), storeId: BigInt(store), role } };
  }

  #split(region: ModelRegion): void {
    const { header, verOff, confOff } = this.#header(region);
    const keys = new Set<string>();
    for (let i = this.#below(3); i >= 0; i--) {
      const key = this.#below(12) === 0 ? KEYS[this.#below(KEYS.length)] : this.#keyIn(region);
      if (key !== undefined) keys.add(key);
    }
    const sorted = [...keys].sort();
    if (this.#below(12) === 0) sorted.reverse();
    const rightDerive = this.#below(2) === 0;
    const parts: SplitPart[] = sorted.map((key) => ({
      splitKey: utf8(key),
      newRegionId: BigInt(this.#nextId++),
      newPeerIds: [...region.peers].map(() => BigInt(this.#nextId++)),
    }));
    const command: LoggedAdmin = { kind: "split", parts, rightDerive };
    const answer = splitAnswer(region, sorted, verOff === 0 && confOff === 0);
    const made = answer === "ok" ? this.#cut(region, sorted, parts, rightDerive) : [];
    this.#append(region, encodeAdmin(header, command), answer);
    for (const one of made) this.#add(one);
  }

  /** Cuts the region down to what it keeps; returns the others. */
  #cut(
    region: ModelRegion,
    keys: readonly string[],
    parts: readonly SplitPart[],
    rightDerive: boolean,
  ): ModelRegion[] {
    const { start, end } = region;
    region.version += keys.length;
    const made = keys.map((key, i) => {
      const from = rightDerive ? (keys[i - 1] ?? start) : key;
      const to = rightDerive ? key : (keys[i + 1] ?? end);
      const part = parts[i] as SplitPart;
      const one = new ModelRegion(
        Number(part.newRegionId),
        from,
        to,
        region.confVer,
        region.version,
      );
      [...region.peers].forEach(([store, { role }], at) => {
        one.peers.set(store, { id: Number(part.newPeerIds[at]), role });
      });
      return one;
    });
    if (rightDerive) region.start = keys[keys.length - 1] as string;
    else region.end = keys[0] as string;
    return made;
  }

  #compact(region: ModelRegion): void {
    const { header } = this.#header(region);
    const index = 1 + this.#below(region.index);
    const term = region.log[index - 6]?.term ?? 5;
    region.truncated = Math.max(region.truncated, index);
    this.#append(region, encodeAdmin(header, { kind: "compactLog", index, term }), "ok");
  }
}

function splitAnswer(region: ModelRegion, keys: readonly string[], epochFits: boolean): string {
  if (!epochFits) return "epochNotMatch";
  if (keys.length === 0) return "other";
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    if (i > 0 && key <= (keys[i - 1] as string)) return "other";
    if (key === region.start || !region.holds(key)) return "keyNotInRegion";
  }
  return "ok";
}

function changed(
  before: ReadonlyMap<number, ModelPeer>,
  changes: readonly PeerChange[],
): Map<number, ModelPeer> | undefined {
  const peers = new Map([...before].map(([store, peer]) => [store, { ...peer }]));
  const joint = [...peers.values()].some(({ role }) => role === "I" || role === "D");
  if (changes.length === 0) {
    if (!joint) return undefined;
    for (const peer of peers.values()) {
      if (peer.role === "I") peer.role = "V";
      if (peer.role === "D") peer.role = "L";
    }
    return peers;
  }
  if (joint) return undefined;
  const several = changes.length > 1;
  for (const { type, peer } of changes) {
    const store = Number(peer.storeId);
    const found = peers.get(store);
    if (found === undefined ? type === 1 : found.id !== Number(peer.id)) return undefined;
    if (type === 1) {
      if (several && found?.role !== "L") return undefined;
      peers.delete(store);
      continue;
    }
    const final: Role = type === 0 ? "V" : "L";
    if (found === undefined) {
      if ([...peers.values()].some(({ id }) => id === Number(peer.id))) return undefined;
      peers.set(store, { id: Number(peer.id), role: several && type === 0 ? "I" : final });
    } else {
      if (found.role === "I" || found.role === "D" || found.role === final) return undefined;
      found.role = several ? (type === 0 ? "I" : "D") : final;
    }
  }
  return peers;
}

/** A real region as the model shows one. */
export function showRegion(region: RegionInfo, removed: boolean): string {
  const text = (key: Uint8Array): string => Buffer.from(key).toString();
  const peers = region.peers
    .map(({ id, storeId, role }) => `${id}@${storeId}${ROLES[role]}`)
    .join(" ");
  const range = `${region.id}[${text(region.startKey)},${text(region.endKey)})`;
  return `${removed ? "removed " : ""}${range} ${region.confVer}/${region.version} ${peers}`;
}
