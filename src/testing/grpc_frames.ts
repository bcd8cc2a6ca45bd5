/** gRPC's framing of messages in a stream: one byte of flags, four bytes of length, the message. */

const HEADER = 5;
const LENGTH_OFFSET = 1;

/** Cuts the bytes of a stream into whole messages, header included. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  /** Returns the messages that `chunk` completes. */
  push(chunk: Buffer): Buffer[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Buffer[] = [];
    while (bytes.length >= HEADER) {
      const size = HEADER + bytes.readUInt32BE(LENGTH_OFFSET);
      if (bytes.length < size) break;
      frames.push(bytes.subarray(0, size));
      bytes = bytes.subarray(size);
    }
    this.#rest = bytes;
    return frames;
  }
}

/** Returns the message of a frame; undefined if it is compressed. */
export function messageOf(frame: Buffer): Buffer | undefined {
  return frame[0] === 0 ? frame.subarray(HEADER) : undefined;
}

/** Returns `message` as a frame. */
export function frameOf(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(HEADER + message.length);
  frame.writeUInt32BE(message.length, LENGTH_OFFSET);
  frame.set(message, HEADER);
  return frame;
}
