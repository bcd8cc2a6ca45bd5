/**
 * What the verbs of the Raft scripts work on: peers, messages under way, and the lines that the
 * verb at hand has produced. Election timeouts are fixed: peer n waits electionTicks + n - 1.
 */
import type { Prng } from "../../../src/base/index.js";
import {
  type ConfState,
  EMPTY_CONF_STATE,
  type Entry,
  MemoryStorage,
  type Message,
  MessageType,
  type RaftOptions,
  type ReadState,
  ROLE_NAMES,
  type TraceEvent,
} from "../../../src/raft/index.js";
import type { DataCase } from "../../support/datadriven.js";
import { TestPeer } from "../../support/raft_peer.js";

/** Bootstrapped peers start behind this index and term, as a store's do. */
export const START = 5;

const TYPE_NAMES = Object.keys(MessageType);

export class Env {
  readonly peers = new Map<number, TestPeer>();
  /** Messages under way, in the order in which they left. */
  flying: Message[] = [];
  /** Peers whose writes stay pending until the verb persist. */
  readonly slow = new Set<number>();
  private lines: string[] = [];

  say(line: string): void {
    this.lines.push(line);
  }

  /** Returns and clears the lines. */
  take(): string {
    const text = this.lines.join("\n");
    this.lines = [];
    return text === "" ? "ok" : text;
  }

  addPeer(
    id: number,
    voters: readonly number[],
    learners: readonly number[],
    options: object,
  ): void {
    const members: ConfState = { ...EMPTY_CONF_STATE, voters, learners };
    const start = voters.length === 0 ? 0 : START;
    const storage = new MemoryStorage(members, start, start);
    const raft: Partial<RaftOptions> = options;
    const peer = new TestPeer({ ...raft, id }, fixedPrng(id), this.events(), storage);
    this.peers.set(id, peer);
  }

  peer(id: number): TestPeer {
    const peer = this.peers.get(id);
    if (peer === undefined) throw new Error(`no peer ${id}`);
    return peer;
  }

  /** Takes Readies and, unless the peer is slow, finishes their writes, until nothing is left. */
  settle(peer: TestPeer): void {
    peer.takeReadies();
    while (!this.slow.has(peer.id) && peer.pending.length > 0) {
      peer.persist();
      peer.takeReadies();
    }
  }

  deliver(message: Message): void {
    this.say(`${describeMessage(message)}`);
    const peer = this.peer(message.to);
    if (!peer.alive) return;
    const problem = peer.node.step(message);
    if (problem !== null) this.say(`  ${message.to}: ${problem}`);
    this.settle(peer);
  }

  private events() {
    return {
      sent: (message: Message): void => {
        this.flying.push({ ...message });
      },
      applied: (peer: TestPeer, index: number): void => this.say(`  ${peer.id}: applied ${index}`),
      read: (peer: TestPeer, state: ReadState): void =>
        this.say(`  ${peer.id}: read ${textOf(state.context)} at ${state.index}`),
      trace: (peer: TestPeer, event: TraceEvent): void => {
        const line = describeEvent(event);
        if (line !== "") this.say(`  ${peer.id}: ${line}`);
      },
    };
  }
}

/** A generator whose numbers depend on the peer only, so that scripts know the timeouts. */
export function fixedPrng(id: number): Prng {
  return { range: (start: number) => start + id - 1 } as unknown as Prng;
}

/** Returns the peer that the first argument names: `campaign 1`. */
export function target(env: Env, item: DataCase): TestPeer {
  return env.peer(Number([...item.args.keys()][0]));
}

/** Returns the numbers of an argument. */
export function numbers(item: DataCase, key: string): number[] {
  return (item.args.get(key) ?? []).map(Number);
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function describeEntry(entry: Entry): string {
  const place = `${entry.term}/${entry.index}`;
  if (entry.type !== 0) return `${place} conf`;
  return entry.data.length > 0 ? `${place} ${textOf(entry.data)}` : place;
}

/** Returns one line with the fields that are set. */
export function describeMessage(message: Message): string {
  const fields = [`${message.from}>${message.to} ${TYPE_NAMES[message.type]}`];
  fields.push(`term=${message.term}`);
  if (message.type === MessageType.Append || message.logTerm > 0)
    fields.push(`log=${message.logTerm}/${message.index}`);
  else if (message.index > 0) fields.push(`index=${message.index}`);
  if (message.commit > 0) fields.push(`commit=${message.commit}`);
  if (message.reject) fields.push(`reject hint=${message.rejectHint}`);
  if (message.snapshot !== null) {
    const { index, term } = message.snapshot.metadata;
    fields.push(`snapshot=${term}/${index}`);
  }
  if (message.entries.length > 0) fields.push(`[${message.entries.map(describeEntry).join(", ")}]`);
  return fields.join(" ");
}

function describeEvent(event: TraceEvent): string {
  switch (event.kind) {
    case "role":
      return `${ROLE_NAMES[event.role]} of term ${event.term}, leader ${event.leader}`;
    case "campaign":
      return `campaigns (${event.type}) for term ${event.term}`;
    case "vote": {
      const what = `${event.to} a ${event.pre ? "pre-vote" : "vote"} for term ${event.term}`;
      return `${event.granted ? "grants" : "refuses"} ${what}`;
    }
    case "commit":
      return `commits ${event.index}`;
    case "snapshot":
      return `takes over snapshot ${event.term}/${event.index}`;
    case "members":
      return `members ${event.config}`;
    case "transfer":
      return `transfer to ${event.to} ${event.outcome}`;
    default:
      return "";
  }
}
