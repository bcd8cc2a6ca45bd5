/**
 * The TCP proxy in front of a member: its address is the one that the member tells others, so all
 * traffic to it can be delayed, held or cut, one direction at a time. It copies bytes and knows
 * nothing of what they mean.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Gate } from "./gate.js";
import type { Network, Party } from "./network.js";
import { resetSocket } from "./reset.js";

const LOOPBACK = "127.0.0.1";

/** Returns who opened a connection, from its port on the other side and the one it came to. */
export type IdentifySource = (theirPort: number, ourPort: number) => Party;

export interface ProxyOptions {
  /** Whose address this is. */
  readonly party: Party;
  readonly network: Network;
  /** Asked for connections to a listener whose users are not known beforehand. */
  readonly identify: IdentifySource;
  /** Told the local port from which a connection of `source` goes on to the target. */
  readonly onConnect?: (localPort: number, source: Party) => void;
}

interface Connection {
  readonly source: Party;
  readonly inner: Socket;
  readonly outer: Socket;
}

export class TcpProxy {
  readonly #options: ProxyOptions;
  readonly #servers: Server[] = [];
  readonly #connections = new Set<Connection>();
  #targetPort: number | undefined;

  constructor(options: ProxyOptions) {
    this.#options = options;
  }

  /** Opens a listener; port 0 is any free one. Returns its port. `source`: who alone uses it. */
  async listen(port: number, source?: Party): Promise<number> {
    // pauseOnConnect: nothing may be read before both sides are there.
    const server = createServer(
      { pauseOnConnect: true, noDelay: true, allowHalfOpen: true },
      (socket) => this.#accept(socket, source),
    );
    this.#servers.push(server);
    server.listen(port, LOOPBACK);
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  /** Sets where connections go; undefined resets new ones, as a host without the process does. */
  aim(port: number | undefined): void {
    this.#targetPort = port;
  }

  /** Resets the open connections of `source`, or all. */
  reset(source?: Party): void {
    for (const one of this.#connections) {
      if (source !== undefined && one.source !== source) continue;
      resetSocket(one.outer);
      resetSocket(one.inner);
    }
  }

  async close(): Promise<void> {
    this.reset();
    await Promise.all(
      this.#servers.map((server) => new Promise((resolve) => server.close(resolve))),
    );
  }

  #accept(outer: Socket, known: Party | undefined): void {
    const { identify, network, onConnect, party } = this.#options;
    outer.on("error", () => undefined);
    const source = known ?? identify(outer.remotePort ?? 0, outer.localPort ?? 0);
    const towards = network.link(source, party);
    const back = network.link(party, source);
    if (this.#targetPort === undefined || towards.faults.refuse) {
      resetSocket(outer);
      return;
    }
    const inner = connect({
      host: LOOPBACK,
      port: this.#targetPort,
      noDelay: true,
      allowHalfOpen: true,
    });
    const connection = { source, inner, outer };
    this.#connections.add(connection);
    const onRefused = (): void => {
      resetSocket(outer);
      this.#connections.delete(connection);
    };
    inner.once("error", onRefused);
    inner.once("connect", () => {
      inner.off("error", onRefused);
      onConnect?.(inner.localPort as number, source);
      const gates = [new Gate(outer, inner, towards), new Gate(inner, outer, back)];
      outer.resume();
      const done = (): void => {
        if (!inner.destroyed || !outer.destroyed) return;
        this.#connections.delete(connection);
        for (const gate of gates) gate.close();
      };
      inner.once("close", done);
      outer.once("close", done);
    });
  }
}
