/**
 * Who PD's members are, which of them leads, and a channel to each. Every known URL is asked at once;
 * the first answer that names a leader wins. Discovery is single-flight: callers that come while one
 * runs wait for the same answer.
 */
import type { Client } from "@grpc/grpc-js";
import { err, ok } from "../base/index.js";
import { methodInfo, type pdpb, toBigInt } from "../pb/index.js";
import { callUnary, openChannel } from "./channel.js";
import { memberInfo } from "./convert.js";
import { callFailure, headerFailure, unavailable } from "./failure.js";
import { addressOf, type PdClientOptions } from "./options.js";
import type { MemberInfo, PdFailure, PdReply } from "./types.js";

/** The leader: its channel, and the cluster's id for request headers. */
export interface Leader {
  readonly channel: Client;
  readonly address: string;
  readonly clusterId: bigint;
}

interface Discovered {
  readonly members: readonly MemberInfo[];
  readonly leader: Leader;
}

const GET_MEMBERS = methodInfo("pdpb.PD", "GetMembers");

export class Members {
  readonly #options: PdClientOptions;
  readonly #channels = new Map<string, Client>();
  readonly #seeds: readonly string[];
  #addresses: readonly string[];
  #known: Discovered | undefined;
  #clusterId = 0n;
  #discovery: Promise<PdReply<Discovered>> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PdClientOptions) {
    this.#options = options;
    this.#seeds = options.endpoints.map((url) => addressOf(url) ?? url);
    this.#addresses = this.#seeds;
  }

  /** Returns the leader, discovering it if it is not known. */
  async leader(): Promise<PdReply<Leader>> {
    if (this.#known !== undefined && !this.#closed) return ok(this.#known.leader);
    const found = await this.#discover();
    return found.ok ? ok(found.value.leader) : found;
  }

  /** Returns the members as a new GetMembers tells them. */
  async refresh(): Promise<PdReply<readonly MemberInfo[]>> {
    const found = await this.#discover();
    return found.ok ? ok(found.value.members) : found;
  }

  /** Makes the next leader() ask again; without effect if another leader is known by now. */
  forget(leader: Leader): void {
    if (this.#known?.leader === leader) this.#known = undefined;
  }

  /** Closes all channels; calls in progress end with CANCELLED or UNAVAILABLE. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #discover(): Promise<PdReply<Discovered>> {
    if (this.#closed) return Promise.resolve(err(unavailable("the PD client is closed")));
    this.#discovery ??= this.#askAll().finally(() => {
      this.#discovery = undefined;
      this.#schedule();
    });
    return this.#discovery;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#discover(), this.#options.memberRefreshMs);
    this.#timer.unref();
  }

  /** Resolves with the first good answer, or with the last failure when there is none. */
  async #askAll(): Promise<PdReply<Discovered>> {
    const addresses = [...new Set([...this.#addresses, ...this.#seeds])];
    const failures: string[] = [];
    let mismatch: PdFailure | undefined;
    const asked = addresses.map(async (address) => {
      const answer = await this.#ask(address);
      if (answer.ok) return answer.value;
      if (answer.error.kind === "clusterMismatch") mismatch = answer.error;
      failures.push(`${address}: ${answer.error.message}`);
      throw answer.error;
    });
    try {
      const found = await Promise.any(asked);
      this.#adopt(found);
      return ok(found);
    } catch {
      const text = `no PD leader: ${failures.join("; ")}`;
      return err(mismatch ?? unavailable(text));
    }
  }

  async #ask(address: string): Promise<PdReply<Discovered>> {
    const timeoutMs = this.#options.memberTimeoutMs;
    const channel = this.#channel(address);
    if (channel === undefined) return err(unavailable(`not host:port or http://host:port`));
    const reply = await callUnary(channel, GET_MEMBERS, {}, timeoutMs);
    if (!reply.ok) return err(callFailure(reply.error));
    return this.#read(reply.value);
  }

  #read(response: pdpb.GetMembersResponse): PdReply<Discovered> {
    const failure = headerFailure(response.header);
    if (failure !== undefined) return err(failure);
    const clusterId = toBigInt(response.header?.clusterId ?? 0);
    if (clusterId === 0n) return err(unavailable("PD has no cluster id yet"));
    if (this.#clusterId !== 0n && this.#clusterId !== clusterId) {
      const message = `mismatch cluster id, need ${this.#clusterId} but got ${clusterId}`;
      this.#options.log.error("PD members of two clusters", { reason: message });
      return err({ kind: "clusterMismatch", message });
    }
    const address = response.leader?.clientUrls.map(addressOf).find((url) => url !== undefined);
    const channel = address === undefined ? undefined : this.#channel(address);
    if (address === undefined || channel === undefined) {
      return err(unavailable("PD has no leader with an http:// client URL"));
    }
    const leaderId = toBigInt(response.leader?.memberId ?? 0);
    const members = response.members.map((member) => memberInfo(member, leaderId));
    return ok({ members, leader: { channel, address, clusterId } });
  }

  /** Invariant: the cluster id never changes once it is known. */
  #adopt(found: Discovered): void {
    const before = this.#known?.leader;
    this.#clusterId = found.leader.clusterId;
    const same = before?.channel === found.leader.channel;
    this.#known = same && before !== undefined ? { ...found, leader: before } : found;
    const urls = found.members.flatMap((member) => member.clientUrls.map(addressOf));
    const addresses = urls.filter((url) => url !== undefined);
    this.#addresses = addresses.length > 0 ? addresses : this.#addresses;
    if (!same) {
      this.#options.log.info("PD leader", { address: found.leader.address });
    }
    const keep = new Set([...this.#addresses, ...this.#seeds, found.leader.address]);
    for (const [address, channel] of this.#channels) {
      if (keep.has(address)) continue;
      channel.close();
      this.#channels.delete(address);
    }
  }

  #channel(address: string): Client | undefined {
    if (this.#closed || addressOf(address) === undefined) return undefined;
    let channel = this.#channels.get(address);
    if (channel === undefined) {
      channel = openChannel(address);
      this.#channels.set(address, channel);
    }
    return channel;
  }
}
