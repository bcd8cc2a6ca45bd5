/**
 * PD and stores as processes of their own: any order, waiting, coming back elsewhere, refusals.
 * @timeout 240
 * @seconds 25
 * @waits
 */
import { cpSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openRaw } from "../../support/raw_grpc.js";
import { Rutile } from "../../support/rutile.js";
import { tmpDir } from "../../support/tmp.js";
import { within } from "../../support/within.js";

const test = suite("roles");
const bytes = (text: string): Uint8Array => Buffer.from(text);

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function startPd(dir: string, port = 0): Rutile {
  const url = `http://127.0.0.1:${port}`;
  return new Rutile(["pd", "--data-dir", join(dir, "pd"), "--client-urls", url]);
}

function startStore(dir: string, pd: string, name = "store", more: readonly string[] = []): Rutile {
  const ports = ["--addr", "127.0.0.1:0", "--status-addr", "127.0.0.1:0", ...more];
  return new Rutile(["store", "--data-dir", join(dir, name), "--pd-endpoints", pd, ...ports]);
}

test("a store that starts before PD waits, says so, and serves once PD is there", async () => {
  const dir = tmpDir("roles");
  const port = await freePort();
  const store = startStore(dir, `127.0.0.1:${port}`);
  await within(
    15_000,
    "the store says that it waits for PD",
    () => /\[WARN\].*127\.0\.0\.1/.test(store.stderr) || /\[WARN\].*pd/i.test(store.stderr),
  );
  const pd = startPd(dir, port);
  const ready = await store.ready();
  assert.is(ready.pd, null);
  const raw = await openRaw((await pd.ready()).pd as string);
  assert.is(raw.storeAddress, ready.store);
  await raw.put(bytes("k"), bytes("v"));
  assert.equal(await raw.get(bytes("k")), bytes("v"));
  raw.close();
  assert.is((await store.stop()).code, 0);
  assert.is((await pd.stop()).code, 0);
});

test("a store that waits for PD stops on SIGTERM with 0", async () => {
  const store = startStore(tmpDir("roles"), `127.0.0.1:${await freePort()}`);
  await within(15_000, "the store waits", () => /\[WARN\]/.test(store.stderr));
  assert.equal(await store.stop(), { code: 0, signal: null });
});

test("both restart in turn; the store tells PD its new port", async () => {
  const dir = tmpDir("roles");
  let pd = startPd(dir);
  const first = await pd.ready();
  const port = Number((first.pd as string).split(":")[1]);
  let store = startStore(dir, first.pd as string);
  const before = await store.ready();
  assert.is((await store.stop()).code, 0);
  assert.is((await pd.kill()).signal, "SIGKILL");
  pd = startPd(dir, port);
  await pd.ready();
  store = startStore(dir, first.pd as string);
  const after = await store.ready();
  assert.not.equal(after.store, before.store);
  const raw = await openRaw(first.pd as string);
  assert.is(raw.storeAddress, after.store);
  raw.close();
  await store.stop();
  await pd.stop();
});

test("a copied directory cannot run beside its original; labels reach PD", async () => {
  const dir = tmpDir("roles");
  const pd = startPd(dir);
  const { pd: endpoint } = await pd.ready();
  const store = startStore(dir, endpoint as string);
  const ready = await store.ready();
  await store.stop();
  cpSync(join(dir, "store"), join(dir, "copy"), { recursive: true });
  const again = startStore(dir, endpoint as string, "store", ["--labels", "zone=z1,host=h1"]);
  const original = await again.ready();
  const copy = startStore(dir, endpoint as string, "copy");
  assert.is((await copy.exited).code, 1);
  assert.is(copy.stderrLines.filter((line) => line.startsWith("rutile: ")).length, 1);
  const stores = await (await fetch(`http://${endpoint}/pd/api/v1/stores`)).json();
  const [only, ...more] = (stores as { stores: { store: Record<string, unknown> }[] }).stores;
  assert.is(more.length, 0);
  assert.is(only?.store.address, original.store, "PD still has the original's address");
  assert.not.equal(original.store, ready.store);
  assert.equal(only?.store.labels, [
    { key: "zone", value: "z1" },
    { key: "host", value: "h1" },
  ]);
  await again.stop();
  await pd.stop();
});

test("a store of another cluster is refused with TiKV's words and exit code 1", async () => {
  const dir = tmpDir("roles");
  const one = startPd(join(dir, "one"));
  const store = startStore(dir, (await one.ready()).pd as string);
  await store.ready();
  await store.stop();
  await one.stop();
  const other = startPd(join(dir, "other"));
  const refused = startStore(dir, (await other.ready()).pd as string);
  assert.is((await refused.exited).code, 1);
  const last = refused.stderrLines.at(-1) as string;
  assert.match(last, /^rutile: cluster ID mismatch, local \d+ != remote \d+, /);
  assert.ok(
    last.includes(
      "you are trying to connect to another cluster, please reconnect to the correct PD",
    ),
  );
  await other.stop();
});

test.run();
