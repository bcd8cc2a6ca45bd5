/** The front over real sockets: which server gets a connection, and what is closed. */
import { stat } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import {
  Client,
  credentials,
  Server,
  type ServiceDefinition,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NULL_METRICS, TikvError } from "../../../src/base/index.js";
import {
  type Front,
  type FrontHandlers,
  type FrontOptions,
  grpcInjector,
  HTTP1_DEFAULTS,
  http1Injector,
  listenFront,
} from "../../../src/net/index.js";
import { REAL_CLOCK } from "../../support/clocks.js";
import { LogLines } from "../../support/log_lines.js";
import { within } from "../../support/within.js";

const bytesIdentity = (bytes: Buffer): Buffer => bytes;
const ECHO = {
  echo: {
    path: "/test.Echo/Echo",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytesIdentity,
    requestDeserialize: bytesIdentity,
    responseSerialize: bytesIdentity,
    responseDeserialize: bytesIdentity,
  },
} satisfies ServiceDefinition;

interface Fixture {
  readonly front: Front;
  readonly logs: LogLines;
  readonly stop: () => Promise<void>;
}

async function startFront(
  options: Partial<FrontOptions> = {},
  withHttp = true,
  headersTimeoutMs = 10_000,
): Promise<Fixture> {
  const logs = new LogLines();
  const server = new Server();
  server.addService(ECHO, {
    echo: (call: { request: Buffer }, reply: (error: null, value: Buffer) => void) => {
      reply(null, call.request);
    },
  });
  const grpc = grpcInjector(server);
  const http = http1Injector(
    (request, response) => {
      response.end(`saw ${request.url}`);
    },
    { ...HTTP1_DEFAULTS, headersTimeoutMs },
  );
  const handlers: FrontHandlers = withHttp
    ? { h2: grpc.inject, http1: http.inject }
    : { h2: grpc.inject };
  const front = await listenFront(
    { host: "127.0.0.1", port: 0, connectionsMax: 100, sniffTimeoutMs: 1000, ...options },
    handlers,
    { logger: logs, clock: REAL_CLOCK, metrics: NULL_METRICS },
  );
  const stop = async (): Promise<void> => {
    await front.stopListening();
    http.shutdown();
    await grpc.shutdown(100);
    await front.destroy();
  };
  return { front, logs, stop };
}

function echo(port: number, text: string): Promise<string> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      ECHO.echo.path,
      bytesIdentity,
      bytesIdentity,
      Buffer.from(text),
      (error, value) => {
        client.close();
        if (error !== null) reject(error);
        else resolve(value?.toString() ?? "");
      },
    );
  });
}

function httpGet(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path, agent: false }, (response: IncomingMessage) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () => resolve(body));
    }).on("error", reject);
  });
}

/** Opens a socket, sends `chunks` one by one, and resolves when the other side closes. */
function raw(
  port: number,
  chunks: readonly Uint8Array[],
): { socket: Socket; closed: Promise<string> } {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  const closed = new Promise<string>((resolve) => {
    let got = "";
    socket.on("data", (chunk: Buffer) => {
      got += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(got));
  });
  for (const chunk of chunks) socket.write(chunk);
  return { socket, closed };
}

test("one port serves gRPC and HTTP/1.1, also at the same time", async () => {
  const { front, stop } = await startFront();
  const answers = await Promise.all([
    echo(front.port, "over h2"),
    httpGet(front.port, "/a"),
    echo(front.port, "again"),
    httpGet(front.port, "/b"),
  ]);
  assert.equal(answers, ["over h2", "saw /a", "again", "saw /b"]);
  await stop();
});

test("a first request that arrives byte by byte is sniffed", async () => {
  const { front, stop } = await startFront();
  const { socket, closed } = raw(front.port, []);
  for (const letter of "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") {
    await new Promise<void>((resolve) => socket.write(letter, () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.match(await closed, /saw \/slow$/);
  await stop();
});

test("garbage and TLS are closed at once, logged once a peer", async () => {
  const { front, logs, stop } = await startFront();
  const started = performance.now();
  for (let i = 0; i < 20; i++) {
    const bytes = Buffer.from([0x80 + i, 1, 2, 3]);
    assert.is(await raw(front.port, [bytes]).closed, "");
  }
  assert.is(await raw(front.port, [Buffer.from("16030100c8010000", "hex")]).closed, "");
  assert.ok(performance.now() - started < 1000, "closed without waiting for the deadline");
  assert.is(logs.lines.length, 1);
  assert.is(logs.lines[0]?.message, "connection closed: neither HTTP/2 nor HTTP/1.1");
  assert.is(logs.lines[0]?.fields.peer, "127.0.0.1");
  assert.is(await echo(front.port, "others are served"), "others are served");
  await stop();
});

test("a TLS client is told apart in the log", async () => {
  const { front, logs, stop } = await startFront();
  await raw(front.port, [Buffer.from("16030100c8010000", "hex")]).closed;
  assert.is(logs.lines[0]?.message, "connection closed: TLS is not expected on this port");
  await stop();
});

test("silence, and half a preface, are closed after sniffTimeoutMs", async () => {
  const { front, logs, stop } = await startFront({ sniffTimeoutMs: 150 });
  const started = performance.now();
  await Promise.all([raw(front.port, []).closed, raw(front.port, [Buffer.from("PRI *")]).closed]);
  const took = performance.now() - started;
  assert.ok(took >= 140 && took < 1000, `closed after ${took} ms`);
  assert.is(logs.lines[0]?.message, "connection closed: nothing was sent in time");
  await stop();
});

test("a stall of the loop does not close a peer that spoke", async () => {
  const { front, stop } = await startFront({ sniffTimeoutMs: 60 });
  const { socket, closed } = raw(front.port, []);
  await within(1000, "accepted", () => front.connections() === 1);
  // In an I/O callback, so that the deadline is due before the next poll phase reads the bytes.
  stat(".", () => {
    socket.write("GET /patient HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const until = performance.now() + 100;
    while (performance.now() < until);
  });
  assert.match(await closed, /saw \/patient$/);
  await stop();
});

test("without an HTTP server HTTP/1.1 is refused", async () => {
  const { front, logs, stop } = await startFront({}, false);
  assert.is(await raw(front.port, [Buffer.from("GET / HTTP/1.1\r\n\r\n")]).closed, "");
  assert.is(logs.lines[0]?.message, "connection closed: HTTP/1.1 is not served on this port");
  assert.is(await echo(front.port, "gRPC is"), "gRPC is");
  await stop();
});

test("connections above the cap are closed; a place becomes free again", async () => {
  const { front, stop } = await startFront({ connectionsMax: 2, sniffTimeoutMs: 5000 });
  const first = raw(front.port, []);
  const second = raw(front.port, []);
  await within(1000, "both are open", () => front.connections() === 2);
  await raw(front.port, []).closed;
  assert.is(front.connections(), 2);
  first.socket.destroy();
  await within(1000, "one left", () => front.connections() === 1);
  assert.is(await httpGet(front.port, "/place"), "saw /place");
  second.socket.destroy();
  await stop();
});

test("HTTP headers that do not arrive are cut off (408)", async () => {
  const { front, stop } = await startFront({}, true, 200);
  const answer = await raw(front.port, [Buffer.from("GET / HTTP/1.1\r\nHost: x\r\nX-Slow:")])
    .closed;
  assert.match(answer, /^HTTP\/1\.1 408/);
  await stop();
});

test("bad HTTP/1.1 gets 400, too large headers 431", async () => {
  const { front, stop } = await startFront();
  assert.match(
    await raw(front.port, [Buffer.from("GET / HTP/9\r\n\r\n")]).closed,
    /^HTTP\/1\.1 400/,
  );
  const large = `GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${"x".repeat(20_000)}\r\n\r\n`;
  assert.match(await raw(front.port, [Buffer.from(large)]).closed, /^HTTP\/1\.1 431/);
  await stop();
});

test("a taken port is RUTILE:Net:AddressInUse and names the address", async () => {
  const { front, stop } = await startFront();
  try {
    await startFront({ port: front.port });
    assert.unreachable("listened twice");
  } catch (error) {
    assert.instance(error, TikvError);
    assert.is((error as TikvError).code, "RUTILE:Net:AddressInUse");
    assert.is((error as TikvError).message, `cannot listen on 127.0.0.1:${front.port}: in use`);
  }
  await stop();
});

test("a foreign address is RUTILE:Net:Listen", async () => {
  try {
    await startFront({ host: "203.0.113.1" });
    assert.unreachable("listened on a foreign address");
  } catch (error) {
    assert.is((error as TikvError).code, "RUTILE:Net:Listen");
    assert.match((error as TikvError).message, /^cannot listen on 203\.0\.113\.1:0: /);
  }
});

test("shutdown cuts a call that never ends after the grace time, channelz on or off", async () => {
  for (const channelz of [0, 1]) {
    const server = new Server({ "grpc.enable_channelz": channelz });
    let called = false;
    server.addService(ECHO, {
      echo: () => {
        called = true;
      },
    });
    const grpc = grpcInjector(server);
    const front = await listenFront(
      { host: "127.0.0.1", port: 0, connectionsMax: 10, sniffTimeoutMs: 1000 },
      { h2: grpc.inject },
      { logger: new LogLines(), clock: REAL_CLOCK, metrics: NULL_METRICS },
    );
    const answer = echo(front.port, "waits").catch((error: ServiceError) => error.code);
    await within(1000, "called", () => called);
    const started = performance.now();
    await grpc.shutdown(100);
    assert.ok(performance.now() - started < 1000, `channelz ${channelz}`);
    assert.ok([status.CANCELLED, status.UNAVAILABLE].includes(Number(await answer)));
    await front.destroy();
  }
});

test("stop ends idle gRPC sessions and leaves no connection", async () => {
  const { front, stop } = await startFront();
  const client = new Client(`127.0.0.1:${front.port}`, credentials.createInsecure());
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 2000, (error) => (error ? reject(error) : resolve()));
  });
  await stop();
  assert.is(front.connections(), 0);
  await new Promise<void>((resolve) => {
    client.makeUnaryRequest(
      ECHO.echo.path,
      bytesIdentity,
      bytesIdentity,
      Buffer.alloc(0),
      (error) => {
        assert.is(error?.code, status.UNAVAILABLE);
        resolve();
      },
    );
  });
  client.close();
});

test.run();
