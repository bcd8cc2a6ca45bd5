import type { Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import { Server } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NULL_LOGGER, NULL_METRICS } from "../../../src/base/index.js";
import { grpcInjector, listenFront } from "../../../src/net/index.js";
import { serviceDefinition } from "../../../src/pb/index.js";
import { within } from "../../support/within.js";

const CLOCK = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
/** Far above what the test may take: a stop that waits for it fails. */
const GRACE_MS = 60_000;
const LIMIT_MS = 5_000;
const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

test("a shutdown that begins while a reset connection is being torn down ends", async () => {
  const server = new Server();
  server.addService(serviceDefinition("tikvpb.Tikv", []), {});
  const grpc = grpcInjector(server);
  const options = { host: "127.0.0.1", port: 0, connectionsMax: 10, sniffTimeoutMs: 1000 };
  const deps = { logger: NULL_LOGGER, clock: CLOCK, metrics: NULL_METRICS };
  let stopping = false;
  let stopped = false;
  const h2 = (socket: Socket): void => {
    grpc.inject(socket);
    // Runs after the session's own listener: the session is destroyed, its "close" is yet to come.
    socket.once("error", () => {
      stopping = true;
      void grpc.shutdown(GRACE_MS).then(() => {
        stopped = true;
      });
    });
  };
  const front = await listenFront(options, { h2 }, deps);
  const client = connectTcp(front.port, "127.0.0.1");
  client.on("error", () => {});
  client.once("data", () => client.resetAndDestroy());
  client.write(PREFACE);
  try {
    await within(LIMIT_MS, "the shutdown begins", () => stopping);
    assert.ok(await within(LIMIT_MS, "the shutdown ends", () => stopped));
  } finally {
    await front.destroy();
  }
});

test.run();
