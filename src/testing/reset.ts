/**
 * The reset of a TCP connection. Not Socket.resetAndDestroy() alone: while the end of the stream is
 * on its way, libuv refuses to reset it (EINVAL), and Node.js then never closes the handle: its
 * descriptor stays open, and the process spins for ever when it exits.
 */
import type { Socket } from "node:net";

/** Ends a connection at once: with a reset, or with a plain close if its end was sent already. */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}
