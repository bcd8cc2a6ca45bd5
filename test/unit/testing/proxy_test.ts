/** The TCP proxy alone, between plain sockets: what each fault of a link does to bytes. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Network, type Party } from "../../../src/testing/network.js";
import { TcpProxy } from "../../../src/testing/proxy.js";
import { resetSocket } from "../../../src/testing/reset.js";
import { ownerOf } from "../../../src/testing/socket_owner.js";
import { within } from "../../support/within.js";

const test = suite("testing proxy");

const LIMIT_MS = 5000;
/** Long enough that an unheld byte would be there. */
const SILENCE_MS = 100;

interface World {
  readonly network: Network;
  readonly proxy: TcpProxy;
  readonly port: number;
  /** What the target received, of all connections. */
  readonly received: Buffer[];
  /** Connections at the target. */
  readonly sockets: Socket[];
  dial(): Promise<Socket>;
  close(): Promise<void>;
}

async function world(source: Party = 1): Promise<World> {
  const received: Buffer[] = [];
  const sockets: Socket[] = [];
  const target = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (bytes: Buffer) => {
      received.push(bytes);
      socket.write(bytes);
    });
  });
  target.listen(0, "127.0.0.1");
  await once(target, "listening");
  const network = new Network();
  const proxy = new TcpProxy({ party: 0, network, identify: () => source });
  proxy.aim((target.address() as AddressInfo).port);
  const port = await proxy.listen(0);
  const dialled: Socket[] = [];
  return {
    network,
    proxy,
    port,
    received,
    sockets,
    dial: async () => {
      const socket = connect(port, "127.0.0.1");
      dialled.push(socket);
      socket.on("error", () => undefined);
      // One that is refused may end before it is connected.
      await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
      return socket;
    },
    close: async () => {
      for (const socket of dialled) socket.destroy();
      await proxy.close();
      await new Promise((resolve) => target.close(resolve));
    },
  };
}

/** Collects what a socket receives. */
function listen(socket: Socket): { text(): string; closed(): boolean } {
  let text = "";
  let closed = false;
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  socket.on("close", () => {
    closed = true;
  });
  return { text: () => text, closed: () => closed };
}

const silence = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, SILENCE_MS));

test("a sound link passes bytes both ways, and the end of a connection", async () => {
  const { close, dial, sockets } = await world();
  const socket = await dial();
  const heard = listen(socket);
  socket.write("abc");
  await within(LIMIT_MS, "the echo", () => heard.text() === "abc");
  socket.end();
  await within(LIMIT_MS, "the end at both", () => heard.closed() && sockets[0]?.destroyed);
  await close();
});

test("a cut link holds bytes and ends; what was sent arrives in order once it is healed", async () => {
  const { close, dial, network, received, sockets } = await world();
  const socket = await dial();
  const heard = listen(socket);
  socket.write("a");
  await within(LIMIT_MS, "the echo", () => heard.text() === "a");
  network.link(1, 0).set({ cut: true });
  socket.write("b");
  await silence();
  assert.is(Buffer.concat(received).toString(), "a");
  socket.end("c");
  await silence();
  assert.not(sockets[0]?.destroyed);
  network.heal();
  await within(LIMIT_MS, "the rest", () => Buffer.concat(received).toString() === "abc");
  await within(LIMIT_MS, "the end", () => sockets[0]?.destroyed);
  await close();
});

test("a cut in one direction leaves the other as it is", async () => {
  const { close, dial, network, received } = await world();
  network.link(0, 1).set({ cut: true });
  const socket = await dial();
  const heard = listen(socket);
  socket.write("abc");
  await within(LIMIT_MS, "arrival", () => Buffer.concat(received).toString() === "abc");
  await silence();
  assert.is(heard.text(), "");
  network.link(0, 1).set({ cut: false });
  await within(LIMIT_MS, "the echo", () => heard.text() === "abc");
  await close();
});

test("a link between others is no concern of this one", async () => {
  const { close, dial, network } = await world(2);
  network.link(1, 0).set({ cut: true, refuse: true });
  const socket = await dial();
  const heard = listen(socket);
  socket.write("abc");
  await within(LIMIT_MS, "the echo", () => heard.text() === "abc");
  await close();
});

test("delay holds each byte for its time and keeps their order", async () => {
  const { close, dial, network } = await world();
  network.link(1, 0).set({ delayMs: 80 });
  const socket = await dial();
  const heard = listen(socket);
  const started = performance.now();
  socket.write("a");
  setTimeout(() => socket.write("b"), 20);
  await within(LIMIT_MS, "both", () => heard.text() === "ab");
  const tookMs = performance.now() - started;
  assert.ok(tookMs >= 95, `took ${tookMs} ms`);
  await close();
});

test("a refusing link resets new connections, and so does a member that is gone", async () => {
  const { close, dial, network, proxy } = await world();
  network.link(1, 0).set({ refuse: true });
  const refused = await dial();
  await within(LIMIT_MS, "the reset", () => refused.destroyed);
  network.heal();
  proxy.aim(undefined);
  const gone = await dial();
  await within(LIMIT_MS, "the reset", () => gone.destroyed);
  await close();
});

test("reset ends the open connections of one source only", async () => {
  const { close, dial, proxy, sockets } = await world(1);
  const socket = await dial();
  const heard = listen(socket);
  socket.write("a");
  await within(LIMIT_MS, "the echo", () => heard.text() === "a");
  proxy.reset(2);
  await silence();
  assert.not(heard.closed());
  proxy.reset(1);
  await within(LIMIT_MS, "the reset at both", () => heard.closed() && sockets[0]?.destroyed);
  await close();
});

test("a connection whose end is on its way is closed by a reset, not left open for ever", async () => {
  const errors: Error[] = [];
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    socket.on("error", (error) => errors.push(error));
    socket.end();
    resetSocket(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => undefined).resume();
  await within(LIMIT_MS, "the end at both", () => accepted[0]?.closed && socket.closed);
  assert.equal(errors, []);
  await new Promise((resolve) => server.close(resolve));
});

test("a sender feels a link that is cut: no more than a bound is held", async () => {
  const { close, dial, network, received } = await world();
  network.link(1, 0).set({ cut: true });
  const socket = await dial();
  socket.resume();
  // Far more than the kernel's buffers and the proxy's bound together.
  const chunk = Buffer.alloc(1024 * 1024);
  const count = 64;
  for (let i = 0; i < count; i++) socket.write(chunk);
  await silence();
  assert.ok(socket.writableLength > (count / 2) * chunk.length, `${socket.writableLength} wait`);
  network.heal();
  const total = (): number => received.reduce((sum, bytes) => sum + bytes.length, 0);
  await within(LIMIT_MS, "all bytes", () => total() === count * chunk.length);
  await close();
});

test("the owner of a connection is found among processes", async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  assert.is(ownerOf(socket.localPort as number, port, [1, process.pid]), process.pid);
  assert.is(ownerOf(socket.localPort as number, port, [process.ppid]), undefined);
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test.run();
