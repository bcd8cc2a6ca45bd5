/**
 * The addresses that members tell others: for each a TCP proxy, and behind a store's the gRPC relay.
 * Here it is decided who a connection comes from.
 */
import type { Network, Party } from "./network.js";
import { TcpProxy } from "./proxy.js";
import type { RpcFaults } from "./rpc_faults.js";
import { RpcRelay } from "./rpc_relay.js";
import { ownerOf } from "./socket_owner.js";

interface Front {
  readonly proxy: TcpProxy;
  readonly relay: RpcRelay | undefined;
  readonly relayPort: number;
  readonly port: number;
  /** Ports for stores of this process, by their index. */
  readonly ports: Map<Party, number>;
}

export interface FrontsDeps {
  readonly network: Network;
  readonly faults: RpcFaults;
  /** Process ids of members. */
  readonly pids: () => ReadonlyMap<number, number | "pd">;
}

const addressOf = (port: number): string => `127.0.0.1:${port}`;

export class Fronts {
  readonly #deps: FrontsDeps;
  readonly #fronts = new Map<Party, Front>();

  constructor(deps: FrontsDeps) {
    this.#deps = deps;
  }

  /**
   * Opens the front of a member on `port`, or a free one. `users`: stores of this process, which each
   * get a port of their own.
   */
  async open(party: number | "pd", users: readonly number[], port = 0): Promise<void> {
    const { faults, network } = this.#deps;
    const relay = party === "pd" ? undefined : new RpcRelay({ store: party, network, faults });
    const relayPort = (await relay?.listen()) ?? 0;
    const proxy = new TcpProxy({
      party,
      network,
      identify: (theirs, ours) => this.#identify(theirs, ours),
      onConnect: (localPort, source) => relay?.announce(localPort, source),
    });
    const front = { proxy, relay, relayPort, port: await proxy.listen(port), ports: new Map() };
    this.#fronts.set(party, front);
    for (const user of users) await this.addUser(party, user);
  }

  /** Gives a store of this process a port of its own to `party`. */
  async addUser(party: number | "pd", user: number): Promise<void> {
    const front = this.#get(party);
    if (party !== user) front.ports.set(user, await front.proxy.listen(0, user));
  }

  /** Sends connections to where the member listens; undefined: it is gone. */
  aim(party: number | "pd", port: number | undefined): void {
    const { proxy, relay, relayPort } = this.#get(party);
    if (port !== undefined) relay?.aim(port);
    proxy.aim(port !== undefined && relay !== undefined ? relayPort : port);
    if (port === undefined) proxy.reset();
  }

  /** Returns what the member tells others. */
  address(party: number | "pd"): string {
    return addressOf(this.#get(party).port);
  }

  /** Returns where store `from` of this process finds the member that tells `address`. */
  route(from: number, address: string): string {
    for (const front of this.#fronts.values()) {
      const port = front.ports.get(from);
      if (addressOf(front.port) === address && port !== undefined) return addressOf(port);
    }
    return address;
  }

  /** Resets open connections from `source`, or all, to a member. */
  reset(party: number | "pd", source?: Party): void {
    this.#get(party).proxy.reset(source);
  }

  async close(): Promise<void> {
    for (const { proxy, relay } of this.#fronts.values()) {
      await proxy.close();
      await relay?.close();
    }
  }

  #get(party: Party): Front {
    const front = this.#fronts.get(party);
    if (front === undefined) throw new RangeError(`no member ${party}`);
    return front;
  }

  #identify(theirPort: number, ourPort: number): Party {
    const pids = this.#deps.pids();
    if (pids.size === 0) return "clients";
    const owner = ownerOf(theirPort, ourPort, pids.keys());
    return owner === undefined ? "clients" : (pids.get(owner) ?? "clients");
  }
}
