/** The status server: paths, content types, errors, limits. */
import { connect } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NULL_LOGGER, TikvError } from "../../../src/base/index.js";
import { listenStatus, type StatusServer, type StatusSources } from "../../../src/status/index.js";

const SOURCES: StatusSources = {
  metrics: () => "# TYPE a counter\na 1\n",
  config: () => ({ storage: { "api-version": 1, "enable-ttl": true } }),
  regionIds: () => [2n, 7n],
  txn: () => ({ commands: { running: 3 } }),
  regionMeta: (id) => (id === 2n ? { region_state: { id: 2 } } : undefined),
};

async function withServer(
  use: (url: string, server: StatusServer) => Promise<void>,
  sources: Partial<StatusSources> = {},
): Promise<void> {
  const server = await listenStatus(
    { host: "127.0.0.1", port: 0 },
    { sources: { ...SOURCES, ...sources }, logger: NULL_LOGGER },
  );
  try {
    await use(`http://127.0.0.1:${server.port}`, server);
  } finally {
    await server.close();
  }
}

async function get(
  url: string,
  method = "GET",
): Promise<{ status: number; type: string | null; body: string }> {
  const response = await fetch(url, { method });
  const type = response.headers.get("content-type");
  return { status: response.status, type, body: await response.text() };
}

test("paths, content types and bodies", async () => {
  await withServer(async (url) => {
    const status = await get(`${url}/status`);
    assert.is(status.status, 200);
    assert.is(status.body, "");
    assert.equal(await get(`${url}/metrics`), {
      status: 200,
      type: "text/plain; version=0.0.4",
      body: SOURCES.metrics(),
    });
    assert.equal(await get(`${url}/config?full=true`), {
      status: 200,
      type: "application/json",
      body: '{"storage":{"api-version":1,"enable-ttl":true}}',
    });
    assert.is((await get(`${url}/region`)).body, "[2,7]");
    assert.is((await get(`${url}/txn`)).body, '{"commands":{"running":3}}');
    assert.equal(await get(`${url}/region/2`), {
      status: 200,
      type: "application/json",
      body: '{"region_state":{"id":2}}',
    });
  });
});

for (const [path, method, status, body] of [
  ["/region/3", "GET", 404, "region(3) not found"],
  ["/region/x", "GET", 404, "path /region/x not found"],
  ["/region/18446744073709551616", "GET", 400, "invalid region id"],
  ["/nothing", "GET", 404, "path not found"],
  ["/config", "POST", 404, "path not found"],
] as const) {
  test(`${method} ${path} answers ${status}`, async () => {
    await withServer(async (url) => {
      const answer = await get(url + path, method);
      assert.is(answer.status, status);
      assert.ok(answer.body.startsWith(body), answer.body);
    });
  });
}

test("a source that throws is a 500 with its message, and the server stays up", async () => {
  const sources = {
    config: () => {
      throw new Error("no config yet");
    },
  };
  await withServer(async (url) => {
    const answer = await get(`${url}/config`);
    assert.is(answer.status, 500);
    assert.is(answer.body, "no config yet");
    assert.is((await get(`${url}/status`)).status, 200);
  }, sources);
});

test("headers over the limit are refused with 431", async () => {
  await withServer(async (_url, server) => {
    const reply = await new Promise<string>((resolve) => {
      const socket = connect(server.port, "127.0.0.1");
      socket.once("data", (data) => {
        resolve(data.toString());
        socket.destroy();
      });
      socket.write(`GET /status HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(20_000)}\r\n\r\n`);
    });
    assert.match(reply, /^HTTP\/1\.1 431 /);
  });
});

test("a taken port names the address", async () => {
  await withServer(async (_url, server) => {
    const error = await listenStatus(
      { host: "127.0.0.1", port: server.port },
      { sources: SOURCES, logger: NULL_LOGGER },
    ).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof TikvError);
    assert.is(error.code, "RUTILE:Net:AddressInUse");
    assert.is(error.message, `cannot listen on 127.0.0.1:${server.port}: in use`);
  });
});

test.run();
