/**
 * The world as production's TxnClient sees it from a simulated machine: its clock, PD and stores over
 * the simulated network. Requests and answers cross it as bytes, as over gRPC.
 */
import { err, ok, type Prng, toHex } from "../../../src/base/index.js";
import type { SendReply } from "../../../src/client/batch_conn.js";
import { type CommandName, unaryMethod } from "../../../src/client/commands.js";
import type { ClientPd, ClientTime, StoreRpc } from "../../../src/client/ports.js";
import type { RegionInfo as PdRegion } from "../../../src/pd/core/index.js";
import type { LocatedRegion, PdReply, StoreRecord } from "../../../src/pd_client/index.js";
import type { SimHost } from "../host.js";
import type { SimNetwork } from "../network.js";
import { fromPd, type SimPd } from "../pd.js";
import { callOver } from "../rpc.js";

const PD_TIMEOUT_US = 500_000;

/** A store process that answers RPCs. */
export interface RpcTarget {
  readonly host: SimHost;
  /** Answers at most once; undefined while it starts. */
  serveRpc(method: string, request: Uint8Array, answer: (response: Uint8Array) => void): void;
}

export interface PortsDeps {
  readonly host: SimHost;
  readonly network: SimNetwork;
  readonly pd: SimPd;
  readonly prng: Prng;
  /** The store with an id, if its machine is known. */
  storeById(id: number): RpcTarget | undefined;
}

/** Returns the time of a machine. */
export function simTime({ host, prng }: PortsDeps): ClientTime {
  return {
    nowMs: () => host.monotonicMs(),
    random: () => prng.below(1 << 20) / (1 << 20),
    after: (delayMs, callback) => host.after(delayMs, callback),
    sleep: (ms, signals) =>
      new Promise((resolve) => {
        let cancel = (): void => undefined;
        const done = (): void => {
          cancel();
          for (const signal of signals) signal.removeEventListener("abort", done);
          resolve();
        };
        for (const signal of signals) signal.addEventListener("abort", done, { once: true });
        cancel = host.after(ms, done);
        if (signals.some((signal) => signal.aborted)) done();
      }),
  };
}

function located(found: PdRegion | undefined): LocatedRegion | undefined {
  if (found === undefined) return undefined;
  const region = fromPd(found.meta);
  const leader = region.peers.find(({ id }) => id === found.leader?.id);
  return { ...region, leader, downPeerIds: [], pendingPeerIds: [] };
}

function storeRecord(id: bigint): StoreRecord {
  return {
    id,
    address: `${id}`,
    statusAddress: "",
    version: "8.5.0",
    gitHash: "",
    startTimestamp: 0,
    deployPath: "",
    labels: [],
    state: "Up",
    removed: false,
    lastHeartbeat: 0n,
  };
}

/** Returns PD as a client's machine reaches it. */
export function simClientPd({ host, network, pd }: PortsDeps): ClientPd {
  const call = <T>(kind: string, text: string, work: () => T): Promise<PdReply<T>> =>
    new Promise((resolve) => {
      callOver<PdReply<T>>(network, {
        ...{ from: host, to: pd.host, kind, text, timeoutUs: PD_TIMEOUT_US },
        work: (answer) => answer(ok(work())),
        done: (reply) => resolve(reply ?? err({ kind: "unavailable", message: "no answer" })),
      });
    });
  return {
    getRegion: (key) => call("getRegion", toHex(key), () => located(pd.find(key))),
    getPrevRegion: (key) =>
      call("getPrevRegion", toHex(key), () => {
        const found = pd.find(key);
        const before = pd.regions.find(
          ({ meta }) => toHex(meta.endKey) === toHex(found?.meta.startKey ?? key),
        );
        return located(before);
      }),
    getStore: (id) => call("getStore", `${id}`, () => storeRecord(id)),
    getTimestamps: (count) => call("tso", `${count}`, () => pd.timestamps(count)),
    close: () => undefined,
  };
}

/** The name of a method, without its service. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Returns stores as a client's machine reaches them; an address is a store's id. */
export function simStoreRpc({ host, network, storeById }: PortsDeps): StoreRpc {
  const send = (
    address: string,
    command: CommandName,
    request: object,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<SendReply> => {
    const target = storeById(Number(address));
    if (target === undefined) {
      return Promise.resolve(err({ kind: "unreachable", message: "no store", sent: false }));
    }
    const method = unaryMethod(command);
    const bytes = method.request.encode(request).finish();
    return new Promise((resolve) => {
      const abort = (): void => resolve(err({ kind: "aborted", message: "aborted", sent: true }));
      signal?.addEventListener("abort", abort, { once: true });
      callOver<Uint8Array>(network, {
        ...{ from: host, to: target.host, kind: command, text: toHex(bytes) },
        timeoutUs: Math.max(1, Math.ceil(timeoutMs * 1000)),
        work: (answer) => target.serveRpc(nameOf(method.path), bytes, answer),
        done: (response) => {
          signal?.removeEventListener("abort", abort);
          if (response === undefined) {
            resolve(err({ kind: "timeout", message: "no answer", sent: true }));
          } else resolve(ok(method.response.decode(response)));
        },
      });
    });
  };
  return { send, close: () => undefined };
}
