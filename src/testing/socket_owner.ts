/**
 * Which of some processes opened a loopback connection, by Linux's /proc. A member needs no change
 * to be told apart from its neighbours.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

const TABLE = "/proc/net/tcp";

/** Whether this system tells who owns a socket. */
export const CAN_TELL_OWNERS: boolean = existsSync(TABLE);

function portOf(column: string | undefined): number {
  return Number.parseInt(column?.split(":")[1] ?? "", 16);
}

/** Returns "socket:[inode]" of the connection from `theirPort` to `ourPort`, seen from its opener. */
function socketOf(theirPort: number, ourPort: number): string | undefined {
  for (const row of readFileSync(TABLE, "latin1").split("\n").slice(1)) {
    const [, local, remote, , , , , , , inode] = row.trim().split(/\s+/);
    if (portOf(local) === theirPort && portOf(remote) === ourPort) return `socket:[${inode}]`;
  }
  return undefined;
}

function holds(pid: number, socket: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => {
      try {
        return readlinkSync(`${folder}/${fd}`) === socket;
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

/** Returns the one of `pids` that opened the connection; undefined when none of them did. */
export function ownerOf(
  theirPort: number,
  ourPort: number,
  pids: Iterable<number>,
): number | undefined {
  if (!CAN_TELL_OWNERS) return undefined;
  const socket = socketOf(theirPort, ourPort);
  if (socket === undefined) return undefined;
  for (const pid of pids) if (holds(pid, socket)) return pid;
  return undefined;
}
