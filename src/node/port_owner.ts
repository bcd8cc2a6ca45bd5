/** Which process listens on a port, where /proc tells (Linux, and only one's own processes). */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const LISTEN_STATE = "0A";

function listeningInodes(port: number): Set<string> {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    let text: string;
    try {
      text = readFileSync(table, "latin1");
    } catch {
      continue;
    }
    for (const row of text.split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = row.trim().split(/\s+/);
      if (state !== LISTEN_STATE || inode === undefined) continue;
      const portHex = local?.split(":")[1] ?? "";
      if (Number.parseInt(portHex, 16) === port) inodes.add(`socket:[${inode}]`);
    }
  }
  return inodes;
}

function hasSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => inodes.has(linkOf(`${folder}/${fd}`)));
  } catch {
    return false;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Returns "pid 123 (node)", or undefined when nobody can tell. */
export function portOwner(port: number): string | undefined {
  try {
    const inodes = listeningInodes(port);
    if (inodes.size === 0) return undefined;
    const pid = readdirSync("/proc").find((name) => /^\d+$/.test(name) && hasSocket(name, inodes));
    if (pid === undefined) return undefined;
    return `pid ${pid} (${readFileSync(`/proc/${pid}/comm`, "utf8").trim()})`;
  } catch {
    return undefined;
  }
}
