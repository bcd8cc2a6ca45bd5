/**
 * An HTTP/2 client that writes frames by hand, so that a test can send what no library would. It
 * reads frames without decoding header blocks: what it knows of an answer is its frames' types.
 * It acknowledges SETTINGS and PING unless told to be silent.
 */
import { connect, type Socket } from "node:net";

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4 } as const;

/** Error codes of RFC 9113 section 7. */
export const H2_ERROR = {
  PROTOCOL_ERROR: 1,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  ENHANCE_YOUR_CALM: 11,
} as const;

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const HEAD_BYTES = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Returns the bytes of a frame; `length` may lie. */
export function frameBytes(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
  length = payload.length,
): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + payload.length);
  bytes.writeUIntBE(length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, HEAD_BYTES);
  return bytes;
}

export function u32Bytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Bytes of HPACK's integer with a 7-bit prefix. */
function hpackLength(length: number): Buffer {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let left = length - 127;
  for (; left > 127; left >>>= 7) bytes.push((left & 127) | 128);
  return Buffer.from([...bytes, left]);
}

/** Returns a header block of literals without indexing and without Huffman coding. */
export function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(headers)) {
    parts.push(Buffer.from([0]));
    for (const text of [Buffer.from(name), Buffer.from(value)]) {
      parts.push(hpackLength(text.length), text);
    }
  }
  return Buffer.concat(parts);
}

/** A gRPC message with its five bytes of head. */
export function grpcMessage(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

export class FrameClient {
  /** All frames received, in order. DATA of answers is not kept, its frames are. */
  readonly frames: Frame[] = [];
  /** Bytes of DATA received. */
  dataBytes = 0;
  closed = false;
  readonly #socket: Socket;
  readonly #silent: boolean;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, silent: boolean) {
    this.#socket = socket;
    this.#silent = silent;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("data", (bytes: Buffer) => this.#onBytes(bytes));
  }

  /** Connects to 127.0.0.1:port and sends preface and SETTINGS (`settings` = its payload). */
  static open(
    port: number,
    { settings = Buffer.alloc(0), silent = false }: { settings?: Buffer; silent?: boolean } = {},
  ): Promise<FrameClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => {
        const client = new FrameClient(socket, silent);
        socket.write(PREFACE);
        socket.write(frameBytes(FRAME.SETTINGS, 0, 0, settings));
        resolve(client);
      });
      socket.once("error", reject);
    });
  }

  /** Writes bytes; resolves when the socket takes more, or is closed. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.closed || this.#socket.destroyed || this.#socket.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      this.#socket.once("drain", done);
      this.#socket.once("close", done);
    });
  }

  send(type: number, flags: number, stream: number, payload?: Uint8Array): Promise<void> {
    return this.write(frameBytes(type, flags, stream, payload));
  }

  /** Opens a stream with a POST of a gRPC method. */
  request(stream: number, path: string, flags: number = FLAG.END_HEADERS): Promise<void> {
    return this.send(FRAME.HEADERS, flags, stream, requestHeaders(path));
  }

  /** Frames of one type, of one stream where given. */
  of(type: number, stream?: number): Frame[] {
    return this.frames.filter(
      (frame) => frame.type === type && (stream === undefined || frame.stream === stream),
    );
  }

  /** Error code of the first RST_STREAM of a stream; undefined = none came. */
  resetCode(stream: number): number | undefined {
    return this.of(FRAME.RST_STREAM, stream)[0]?.payload.readUInt32BE(0);
  }

  /** Error code of the first GOAWAY; undefined = none came. */
  goawayCode(): number | undefined {
    return this.of(FRAME.GOAWAY)[0]?.payload.readUInt32BE(4);
  }

  /** Stops (or goes on) reading from the socket. */
  pause(isPaused: boolean): void {
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onBytes(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (;;) {
      if (this.#rest.length < HEAD_BYTES) return;
      const end = HEAD_BYTES + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) return;
      const payload = Buffer.from(this.#rest.subarray(HEAD_BYTES, end));
      const type = this.#rest[3] as number;
      const flags = this.#rest[4] as number;
      const stream = this.#rest.readUInt32BE(5) & 0x7fff_ffff;
      this.#rest = this.#rest.subarray(end);
      this.#onFrame({ type, flags, stream, payload });
    }
  }

  #onFrame(frame: Frame): void {
    if (frame.type === FRAME.DATA) this.dataBytes += frame.payload.length;
    else this.frames.push(frame);
    if (this.#silent || (frame.flags & FLAG.ACK) !== 0) return;
    if (frame.type === FRAME.SETTINGS) void this.send(FRAME.SETTINGS, FLAG.ACK, 0);
    if (frame.type === FRAME.PING) void this.send(FRAME.PING, FLAG.ACK, 0, frame.payload);
  }
}

/** Returns the header block of a gRPC request. */
export function requestHeaders(path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "127.0.0.1",
    "content-type": "application/grpc",
    te: "trailers",
    ...more,
  });
}
