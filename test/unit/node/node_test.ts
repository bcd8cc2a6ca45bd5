/** The parts of node/ that need no cluster: ports, stop order, metrics, ready file, checks. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NULL_LOGGER, TikvError } from "../../../src/base/index.js";
import { nodeProblem } from "../../../src/cli/node_version.js";
import { PromMetrics } from "../../../src/node/metrics.js";
import { advertised, listenOn } from "../../../src/node/ports.js";
import { writeReadyFile } from "../../../src/node/ready_file.js";
import { Shutdown } from "../../../src/node/shutdown.js";
import { checkDataDir } from "../../../src/node/startup_checks.js";
import { tmpDir } from "../../support/tmp.js";

const test = suite("node");

function listen(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new TikvError("RUTILE:Net:AddressInUse", "in use", { cause })),
    );
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return (address as { port: number }).port;
}

test("a taken port is an error with flag, address and pid", async () => {
  const taken = await listen(0);
  const address = { host: "127.0.0.1", port: portOf(taken) };
  let message = "";
  try {
    await listenOn({ flag: "--addr", address, retry: false }, ({ port }) => listen(port));
  } catch (error) {
    message = (error as Error).message;
  }
  taken.close();
  const place = `cannot listen on 127.0.0.1:${address.port}`;
  const owner = existsSync("/proc/net/tcp") ? ` by pid ${process.pid} \\([^)]+\\)` : ".*";
  assert.match(
    message,
    new RegExp(`^${place}: in use${owner}; choose another --addr, or pass --port-retry$`),
  );
});

test("port retry takes the next free port", async () => {
  const taken = await listen(0);
  const address = { host: "127.0.0.1", port: portOf(taken) };
  const next = await listenOn({ flag: "--addr", address, retry: true }, ({ port }) => listen(port));
  assert.ok(portOf(next) > address.port && portOf(next) <= address.port + 100);
  next.close();
  taken.close();
});

test("an error that is not a taken port is handed on at once", async () => {
  const address = { host: "127.0.0.1", port: 1 };
  let calls = 0;
  const fails = (): Promise<never> => {
    calls++;
    return Promise.reject(new Error("boom"));
  };
  let message = "";
  try {
    await listenOn({ flag: "--addr", address, retry: true }, fails);
  } catch (error) {
    message = (error as Error).message;
  }
  assert.is(message, "boom");
  assert.is(calls, 1);
});

test("what is advertised has the port that was bound", () => {
  const host = "127.0.0.1";
  const cases: readonly (readonly [string, number, number, string])[] = [
    ["", 0, 5555, "127.0.0.1:5555"],
    ["", 20160, 20161, "127.0.0.1:20161"],
    ["h1:0", 20160, 20160, "h1:20160"],
    ["h1:20160", 20160, 20161, "h1:20161"],
    ["h1:443", 20160, 20161, "h1:443"],
  ];
  for (const [advertise, wanted, bound, expected] of cases) {
    assert.is(advertised(advertise, { host, port: wanted }, { host, port: bound }), expected);
  }
});

test("a stop runs the steps backwards, once, and goes on after a failure", async () => {
  const done: string[] = [];
  const shutdown = new Shutdown(NULL_LOGGER, 1000);
  shutdown.add("first", async () => void done.push("first"));
  shutdown.add("bad", () => Promise.reject(new Error("no")));
  shutdown.add("last", async () => void done.push("last"));
  const [clean, again] = await Promise.all([shutdown.run(), shutdown.run()]);
  assert.equal(done, ["last", "first"]);
  assert.is(clean, false);
  assert.is(again, false);
});

test("what is started while the process stops is stopped, and after the stop goes no further", async () => {
  const done: string[] = [];
  const shutdown = new Shutdown(NULL_LOGGER, 1000);
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  shutdown.add("slow", () => held);
  const running = shutdown.run();
  assert.ok(shutdown.isRunning && shutdown.signal.aborted);
  shutdown.add("meanwhile", async () => void done.push("meanwhile"));
  release();
  assert.is(await running, true);
  assert.equal(done, ["meanwhile"]);
  const late = (): void => shutdown.add("late", async () => void done.push("late"));
  assert.throws(late, /the process is stopping/);
  assert.equal(done, ["meanwhile", "late"]);
});

test("a stop that hangs ends at the grace period", async () => {
  const shutdown = new Shutdown(NULL_LOGGER, 20);
  shutdown.add("hangs", () => new Promise(() => {}));
  assert.is(await shutdown.run(), false);
});

test("Node.js before 20.20.2 is refused in one line", () => {
  for (const version of ["18.20.0", "20.9.0", "20.20.1"]) {
    const line = `Node.js ${version} is too old (known HTTP/2 faults); install 20.20.2 or newer`;
    assert.is(nodeProblem(version), line);
  }
  for (const version of ["20.20.2", "20.21.0", "22.0.0", "24.1.0", "25.0.0-nightly"]) {
    assert.is(nodeProblem(version), undefined, version);
  }
});

test("metrics: same name is one metric, collectors run before a scrape", async () => {
  const metrics = new PromMetrics();
  const options = { name: "tikv_x_total", help: "x", labelNames: ["kind"] };
  metrics.counter(options).inc(2, { kind: "a" });
  metrics.counter(options).inc(1, { kind: "a" });
  const gauge = metrics.gauge({ name: "g", help: "g" });
  metrics.onCollect(() => gauge.set(7));
  metrics.histogram({ name: "h_seconds", help: "h", buckets: [0.1, 1] }).observe(0.5);
  const many = { name: "m_seconds", help: "m", labelNames: ["type"], buckets: [0.1, 1] };
  metrics.histogram(many).observe(0.25, { type: "get" }, 64);
  metrics.addProcessMetrics();
  const text = await metrics.scrape();
  for (const line of [
    'tikv_x_total{kind="a"} 3',
    "g 7",
    'h_seconds_bucket{le="1"} 1',
    'm_seconds_bucket{le="0.1",type="get"} 0',
    'm_seconds_bucket{le="1",type="get"} 64',
    'm_seconds_sum{type="get"} 16',
    'm_seconds_count{type="get"} 64',
  ]) {
    assert.ok(text.includes(line), line);
  }
  for (const name of [
    "process_cpu_seconds_total",
    "nodejs_eventloop_utilization_ratio",
    "nodejs_gc_duration_seconds",
  ]) {
    assert.ok(text.includes(name), name);
  }
});

test("the ready file is whole JSON; a missing folder is an error that names it", () => {
  const file = join(tmpDir("ready"), "ready.json");
  const info = {
    pd: "a:1",
    store: null,
    status: null,
    listen: null,
    data_dir: "",
    engine: "memory",
  };
  writeReadyFile(file, info);
  assert.equal(JSON.parse(readFileSync(file, "utf8")), info);
  assert.throws(() => writeReadyFile("/nowhere/ready.json", info), /cannot write the ready file/);
});

test("a data directory that cannot be written is one clear error", () => {
  const dir = tmpDir("data");
  checkDataDir(join(dir, "made", "deep"));
  writeFileSync(join(dir, "file"), "");
  const expected =
    /^cannot use the data directory .*file: .*; make it writable, or choose another --data-dir$/;
  assert.throws(
    () => checkDataDir(join(dir, "file")),
    (error: Error) => expected.test(error.message),
  );
  if (process.getuid?.() !== 0) {
    chmodSync(dir, 0o500);
    assert.throws(() => checkDataDir(dir), /cannot use the data directory/);
    chmodSync(dir, 0o700);
  }
});

test.run();
