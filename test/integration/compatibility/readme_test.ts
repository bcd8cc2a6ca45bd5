/**
 * The README's compatibility table against a running node: a method is listed as served if and only
 * if the node does not answer UNIMPLEMENTED. Every method of every listed service is asked.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { methodsOf, type ServiceName } from "../../../src/pb/index.js";
import { ROOT } from "../../support/interop.js";
import { startRutile } from "../../support/rutile_process.js";

const EMPTY = Buffer.alloc(0);
const DEADLINE_MS = 5000;
const bytes = (value: Buffer): Buffer => value;

/** "| `service` | store or PD | methods |" rows of the README. */
function documented(): Map<string, { port: string; methods: string[] }> {
  const rows = readFileSync(join(ROOT, "README.md"), "utf8").matchAll(
    /^\| `([\w.]+)` \| (store|PD|both) \| ([\w ,]+) \|/gm,
  );
  const found = new Map<string, { port: string; methods: string[] }>();
  for (const [, service, port, methods] of rows) {
    const names = (methods as string).split(/[ ,]+/).sort();
    found.set(service as string, { port: port as string, methods: names });
  }
  return found;
}

/** Resolves with the status code of an empty request that is half-closed at once. */
function statusOf(client: Client, path: string, streams: boolean): Promise<number> {
  const options = { deadline: Date.now() + DEADLINE_MS };
  return new Promise((resolve) => {
    if (!streams) {
      const done = (error: { code?: number } | null): void => resolve(error?.code ?? status.OK);
      client.makeUnaryRequest(path, bytes, bytes, EMPTY, new Metadata(), options, done);
      return;
    }
    const call = client.makeBidiStreamRequest(path, bytes, bytes, new Metadata(), options);
    call.on("data", () => {});
    call.on("error", (error: { code?: number }) => resolve(error.code ?? status.UNKNOWN));
    call.on("end", () => resolve(status.OK));
    call.end();
  });
}

async function servedBy(client: Client, service: ServiceName): Promise<string[]> {
  const served: string[] = [];
  for (const [name, info] of Object.entries(methodsOf(service))) {
    const streams = info.requestStream || info.responseStream;
    const code = await statusOf(client, `/${service}/${name}`, streams);
    if (code !== status.UNIMPLEMENTED) served.push(name);
  }
  return served.sort();
}

test("the README lists exactly what the node serves", async () => {
  const node = await startRutile({
    args: ["start", "--memory", "--pd-addr", "127.0.0.1:0", "--addr", "127.0.0.1:0"].concat(
      "--status-addr",
      "127.0.0.1:0",
    ),
  });
  const ports = { store: node.ready.store, PD: node.ready.pd };
  try {
    const table = documented();
    assert.ok(table.size >= 6, `${table.size} services in the table`);
    for (const [service, row] of table) {
      for (const [port, address] of Object.entries(ports)) {
        if (row.port !== "both" && row.port !== port) continue;
        const client = new Client(address, credentials.createInsecure());
        assert.equal(await servedBy(client, service as ServiceName), row.methods, service);
        client.close();
      }
    }
  } finally {
    assert.is(await node.stop(), 0, node.output());
  }
});

test.run();
