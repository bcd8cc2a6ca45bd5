/** The gRPC relay alone, between plain HTTP/2 ends. */
import { once } from "node:events";
import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import { frameOf } from "../../../src/testing/grpc_frames.js";
import { Network } from "../../../src/testing/network.js";
import { RpcFaults } from "../../../src/testing/rpc_faults.js";
import { RpcRelay } from "../../../src/testing/rpc_relay.js";
import { within } from "../../support/within.js";

const test = suite("testing rpc relay");

const LIMIT_MS = 20_000;
const BATCH = { ":method": "POST", ":path": "/tikvpb.Tikv/BatchCommands" };
/** More than the windows hold, so that the relay has to wait; node warns of more than 10 listeners. */
const ROUNDS = 15;
const ROUND_BYTES = 8 * 1024 * 1024;
const FRAME = frameOf(new Uint8Array(64 * 1024));

test("a store that reads slowly is waited for again and again, and no listener stays", async () => {
  const warnings: string[] = [];
  const onWarning = ({ message }: Error): void => void warnings.push(message);
  process.on("warning", onWarning);
  let received = 0;
  let stream: ServerHttp2Stream | undefined;
  const store = createServer();
  store.on("stream", (opened) => {
    stream = opened
      .on("error", () => undefined)
      .on("data", (chunk) => {
        received += chunk.length;
      });
    opened.pause();
  });
  store.listen(0, "127.0.0.1");
  await once(store, "listening");
  const faults = new RpcFaults(new Prng(1n));
  const relay = new RpcRelay({ store: 0, network: new Network(), faults });
  relay.aim((store.address() as AddressInfo).port);
  const session = connect(`http://127.0.0.1:${await relay.listen()}`);
  const request = session.request(BATCH).on("error", () => undefined);
  try {
    let sent = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (let bytes = 0; bytes < ROUND_BYTES; bytes += FRAME.length) {
        request.write(FRAME);
        sent += FRAME.length;
      }
      const before = received;
      stream?.pause();
      // It begins to wait for a store that does not read.
      await within(LIMIT_MS, "a full window", () => request.writableNeedDrain);
      await within(LIMIT_MS, "the store's stream", () => stream !== undefined);
      stream?.resume();
      await within(LIMIT_MS, "all of the round", () => received === sent && received > before);
    }
    assert.equal(warnings, []);
  } finally {
    process.off("warning", onWarning);
    session.destroy();
    await relay.close();
    await new Promise((resolve) => store.close(resolve));
  }
});

test.run();
