/** Listening on a port that may be taken: --port-retry, and an error that names the owner. */
import { TikvError } from "../base/index.js";
import { formatAddress, type Host } from "../config/index.js";
import { portOwner } from "./port_owner.js";

/** Ports after the wanted one that --port-retry tries. */
export const PORT_TRIES_MAX = 100;
const PORT_MAX = 65_535;

export interface Listening {
  /** The flag that chooses the address, for the error. */
  readonly flag: string;
  readonly address: Host;
  readonly retry: boolean;
}

function isTaken(error: unknown): boolean {
  return error instanceof TikvError && error.code === "RUTILE:Net:AddressInUse";
}

/**
 * Calls `listen` with the wanted address, and with the following ports while they are taken and
 * `retry` is set. `listen` must leave nothing behind when it rejects with RUTILE:Net:AddressInUse.
 * Errs with that code, naming flag, address and the owner's pid where it can be known.
 */
export async function listenOn<T>(
  wanted: Listening,
  listen: (address: Host) => Promise<T>,
): Promise<T> {
  const { host, port } = wanted.address;
  const tries = wanted.retry && port !== 0 ? PORT_TRIES_MAX : 1;
  let cause: unknown;
  for (let i = 0; i < tries && port + i <= PORT_MAX; i++) {
    try {
      return await listen({ host, port: port + i });
    } catch (error) {
      if (!isTaken(error)) throw error;
      cause = error;
    }
  }
  const owner = portOwner(port);
  const by = owner === undefined ? "in use" : `in use by ${owner}`;
  const range = tries > 1 ? ` (and the ${PORT_TRIES_MAX - 1} ports after it)` : "";
  const hint =
    tries > 1
      ? `choose another ${wanted.flag}`
      : `choose another ${wanted.flag}, or pass --port-retry`;
  const text = `cannot listen on ${formatAddress(wanted.address)}${range}: ${by}; ${hint}`;
  throw new TikvError("RUTILE:Net:AddressInUse", text, { cause });
}

/**
 * Returns what clients are told: `advertise` if set, else the configured host, with the port that
 * was really bound wherever the configured one was 0 or taken.
 */
export function advertised(advertise: string, configured: Host, bound: Host): string {
  if (advertise === "") return formatAddress({ host: configured.host, port: bound.port });
  const colon = advertise.lastIndexOf(":");
  const port = Number(advertise.slice(colon + 1));
  const follows = port === 0 || port === configured.port;
  return follows ? `${advertise.slice(0, colon)}:${bound.port}` : advertise;
}
