/**
 * `rutile start` as a process: ready file and block, restart, ports, signals, bad directories.
 * @timeout 240
 * @seconds 30
 * @waits
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openRaw } from "../../support/raw_grpc.js";
import { ANY_PORTS, Rutile, runRutile } from "../../support/rutile.js";
import { tmpDir } from "../../support/tmp.js";
import { within } from "../../support/within.js";

const test = suite("start");

function listen(port = 0): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

function get(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request(url, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    call.on("error", reject);
    call.end();
  });
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

test("port 0 everywhere: the ready file and the block tell what was chosen", async () => {
  const dir = tmpDir("start");
  const rutile = new Rutile(["start", "--data-dir", dir, ...ANY_PORTS]);
  const ready = await rutile.ready();
  assert.equal(Object.keys(ready), ["pd", "store", "status", "listen", "data_dir", "engine"]);
  for (const address of [ready.pd, ready.store, ready.status, ready.listen]) {
    assert.match(address as string, /^127\.0\.0\.1:[1-9]\d*$/);
  }
  assert.is(ready.data_dir, dir);
  const status = await get(`http://${ready.status}/status`);
  assert.is(status.status, 200);
  const metrics = await get(`http://${ready.status}/metrics`);
  for (const name of [
    'tikv_engine_write_served{db="pd"}',
    'tikv_engine_write_served{db="kv"}',
    "kernel_calls_total",
    "tikv_engine_wal_file_synced",
    "nodejs_eventloop_lag_seconds",
  ]) {
    assert.ok(metrics.body.includes(name), name);
  }
  const config = JSON.parse((await get(`http://${ready.status}/config`)).body);
  assert.is(config.storage["api-version"], 1);
  assert.is(config.storage["enable-ttl"], false);
  assert.is(config.server.addr, "127.0.0.1:0");
  const exit = await rutile.stop();
  assert.equal(exit, { code: 0, signal: null });
  for (const part of [
    /is ready after \d+\.\d\d s/,
    ready.pd,
    ready.store,
    ready.status,
    dir,
    ready.engine,
  ]) {
    assert.match(rutile.stdout, part as string);
  }
});

test("a second start finds the data, on other ports PD tells the new address", async () => {
  const dir = tmpDir("start");
  const first = new Rutile(["start", "--data-dir", dir, ...ANY_PORTS]);
  const before = await first.ready();
  const raw = await openRaw(before.pd as string);
  await raw.put(bytes("k"), bytes("v"));
  raw.close();
  assert.is((await first.stop()).code, 0);
  const second = new Rutile(["start", "--data-dir", dir, ...ANY_PORTS]);
  const after = await second.ready();
  const again = await openRaw(after.pd as string);
  assert.is(again.storeAddress, after.store, "PD tells the address of this start");
  assert.equal(await again.get(bytes("k")), bytes("v"));
  again.close();
  assert.is((await second.stop()).code, 0);
});

test("the line that tells how to try it does what it says", async () => {
  const rutile = new Rutile(["start", "--memory", ...ANY_PORTS]);
  await rutile.ready();
  const line = await within(5000, "the block", () => /rutile -- (ctl .*)$/m.exec(rutile.stdout));
  const [ctl, ...rest] = (line[1] as string).split(" ");
  const put = await runRutile([ctl as string, ...rest]);
  assert.equal([put.code, put.stderr], [0, ""]);
  const get = await runRutile([ctl as string, ...rest.slice(0, 2), "get", "hello"]);
  assert.equal([get.code, get.stdout], [0, "world\n"]);
  assert.is((await rutile.stop()).code, 0);
});

test("--memory serves requests and writes nothing", async () => {
  const dir = join(tmpDir("start"), "never");
  const rutile = new Rutile(["start", "--memory", "--data-dir", dir, ...ANY_PORTS]);
  const ready = await rutile.ready();
  assert.is(ready.data_dir, "");
  assert.is(ready.engine, "memory");
  const raw = await openRaw(ready.pd as string);
  await raw.put(bytes("a"), bytes("b"));
  assert.equal(await raw.get(bytes("a")), bytes("b"));
  raw.close();
  assert.is((await rutile.stop()).code, 0);
  assert.not(existsSync(dir));
});

/** Flag → the other flags' addresses stay free. */
const PORT_FLAGS = ["--pd-addr", "--addr", "--status-addr"] as const;

for (const flag of PORT_FLAGS) {
  test(`a taken ${flag} is an error that names it; --port-retry takes the next`, async () => {
    const taken = await listen();
    const address = `127.0.0.1:${portOf(taken)}`;
    const ports = ANY_PORTS.map((one, i) => (ANY_PORTS[i - 1] === flag ? address : one));
    const refused = new Rutile(["start", "--memory", ...ports]);
    assert.is((await refused.exited).code, 1);
    assert.is(refused.stderrLines.length, 1, refused.stderr);
    const owner = existsSync("/proc/net/tcp") ? ` by pid ${process.pid} (` : "";
    assert.ok(
      refused.stderr.startsWith(`rutile: cannot listen on ${address}: in use${owner}`),
      refused.stderr,
    );
    assert.ok(refused.stderr.endsWith(`; choose another ${flag}, or pass --port-retry\n`));
    const moved = new Rutile(["start", "--memory", "--port-retry", ...ports]);
    const ready = await moved.ready();
    const chosen = { "--pd-addr": ready.pd, "--addr": ready.store, "--status-addr": ready.status };
    assert.not.equal(chosen[flag], address);
    const raw = await openRaw(ready.pd as string);
    assert.is(raw.storeAddress, ready.store, "PD has the port really bound");
    await raw.put(bytes("a"), bytes("b"));
    raw.close();
    assert.is((await moved.stop()).code, 0);
    taken.close();
  });
}

test("an open BatchCommands stream does not hold up the stop", async () => {
  const rutile = new Rutile(["start", "--memory", ...ANY_PORTS]);
  const raw = await openRaw((await rutile.ready()).pd as string);
  await raw.holdStream();
  const exit = await rutile.stop();
  raw.close();
  assert.equal(exit, { code: 0, signal: null });
});

test("a second signal exits at once", async () => {
  const log = join(tmpDir("start"), "rutile.log");
  const rutile = new Rutile(["start", "--memory", "--log-file", log, ...ANY_PORTS]);
  await rutile.ready();
  // Two different ones, both there before the stop has had a turn; either may come first.
  rutile.child.kill("SIGTERM");
  rutile.child.kill("SIGINT");
  const exit = await rutile.exited;
  assert.is(exit.signal, null);
  assert.ok(exit.code === 130 || exit.code === 143, `exit code ${exit.code}`);
  const text = readFileSync(log, "utf8");
  assert.match(text, /\["second signal, exiting at once"\]/);
  assert.not.match(text, /\[stopped\]/);
});

test("two processes on one directory: the second one is refused", async () => {
  const dir = tmpDir("start");
  const first = new Rutile(["start", "--data-dir", dir, ...ANY_PORTS]);
  await first.ready();
  const second = new Rutile(["start", "--data-dir", dir, ...ANY_PORTS]);
  assert.is((await second.exited).code, 1);
  assert.is(second.stderrLines.length, 1, second.stderr);
  assert.match(second.stderr, dir);
  assert.is((await first.stop()).code, 0);
});

test("a data directory that is a file is one clear line", async () => {
  const dir = tmpDir("start");
  mkdirSync(join(dir, "x"));
  const rutile = new Rutile(["start", "--data-dir", "/proc/version", ...ANY_PORTS]);
  assert.is((await rutile.exited).code, 1);
  assert.match(
    rutile.stderr,
    /^rutile: cannot use the data directory \/proc\/version\/.*; make it writable, or choose another --data-dir\n$/,
  );
});

test("SIGHUP reopens the log file, whose lines have TiKV's shape", async () => {
  const dir = tmpDir("start");
  const log = join(dir, "log", "rutile.log");
  const rutile = new Rutile(["start", "--memory", "--log-file", log, ...ANY_PORTS]);
  await rutile.ready();
  const line = /^\[\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d\.\d{3} \+00:00\] \[INFO\] \[\w+\] \[/;
  assert.match(readFileSync(log, "utf8"), line);
  rutile.child.kill("SIGHUP");
  await rutile.stop();
  assert.match(readFileSync(log, "utf8"), /\[stopped\]/);
  assert.equal(readdirSync(join(dir, "log")), ["rutile.log"]);
  assert.is(rutile.stderr, "");
});

test.run();
