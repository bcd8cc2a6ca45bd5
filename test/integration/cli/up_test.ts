/**
 * `rutile up`: one PD and stores as processes, their start, what they say, and every way to end.
 * @timeout 300
 * @seconds 70
 * @waits
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RawClient } from "../../../src/client/index.js";
import { PdClient } from "../../../src/pd_client/index.js";
import { type Ready, Rutile, runRutile } from "../../support/rutile.js";
import { tmpDir, tmpDirInMemory } from "../../support/tmp.js";
import { within } from "../../support/within.js";

const test = suite("cli up");

const LIMIT_MS = 20_000;

interface UpReady extends Ready {
  readonly pd: string;
  readonly stores: readonly {
    readonly name: string;
    readonly pid: number;
    readonly store: string;
    readonly status: string;
    readonly data_dir: string;
  }[];
}

interface Up {
  readonly up: Rutile;
  readonly ready: UpReady;
  /** Where it keeps what it needs while it runs. */
  readonly runDir: string;
}

async function startUp(args: readonly string[]): Promise<Up> {
  const runDir = tmpDirInMemory("up-run");
  const up = new Rutile(["up", "--base-port", "0", ...args], { env: { TMPDIR: runDir } });
  return { up, ready: (await up.ready()) as UpReady, runDir };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("three stores serve, PD knows them and keeps three replicas; SIGTERM ends all, data stays", async () => {
  const dir = tmpDir("up");
  const args = ["--data-dir", dir, "--labels", "zone=z1", "--labels", "zone=z2,host=h2"];
  const { up, ready, runDir } = await startUp(args);
  assert.is(ready.data_dir, dir);
  assert.equal(
    ready.stores.map((one) => [one.name, one.data_dir]),
    [1, 2, 3].map((i) => [`store-${i}`, join(dir, `store-${i}`)]),
  );
  const pd = new PdClient({ endpoints: [ready.pd] });
  const stores = await pd.getAllStores();
  const config = await pd.getClusterConfig();
  pd.close();
  assert.ok(stores.ok && config.ok);
  assert.is(config.ok && config.value.maxPeerCount, 3);
  const found = stores.ok ? stores.value : [];
  const zoneOf = (address: string): string =>
    (found.find((one) => one.address === address)?.labels ?? [])
      .map(({ key, value }) => `${key}=${value}`)
      .join(",");
  assert.equal(
    ready.stores.map((one) => zoneOf(one.store)),
    ["zone=z1", "zone=z2,host=h2", "zone=z1"],
  );
  for (const { status } of ready.stores) {
    assert.is((await fetch(`http://${status}/status`)).status, 200, status);
  }
  await withClient(ready.pd, (client) => client.put("k", "v"));
  assert.match(up.stdout, /^Rutile \S+ is ready after [\d.]+ s\n {2}PD {6}127/);
  assert.equal(await up.stop(), { code: 0, signal: null });
  assert.equal(readdirSync(runDir), [], "nothing is left behind");
  assert.equal(
    ready.stores.filter(({ pid }) => isAlive(pid)),
    [],
  );
  const again = await startUp(["--data-dir", dir]);
  assert.equal(
    await withClient(again.ready.pd, (client) => client.get("k")),
    new TextEncoder().encode("v"),
  );
  assert.is((await again.up.stop()).code, 0);
});

async function withClient<T>(pd: string, work: (client: RawClient) => Promise<T>): Promise<T> {
  const client = await RawClient.connect({ pdEndpoints: [pd] });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

test("a store that dies is told with its exit; the last one ends all with exit code 1", async () => {
  const { up, ready } = await startUp(["--memory", "--stores", "2"]);
  const [first, second] = ready.stores.map(({ pid }) => pid) as [number, number];
  process.kill(second, "SIGKILL");
  const told = `store-2 (pid ${second}) ended with signal SIGKILL`;
  await within(LIMIT_MS, "word of the dead store", () => up.stderr.includes(told));
  assert.ok(isAlive(first), "the others go on");
  process.kill(first, "SIGKILL");
  assert.is((await up.exited).code, 1);
  assert.match(up.stderr, /no store is left, so the cluster was stopped/);
});

test("the end of PD ends all with exit code 1", async () => {
  const { up, ready } = await startUp(["--memory", "--stores", "1"]);
  const pd = pidsBelow(up.child.pid as number).filter((pid) => pid !== ready.stores[0]?.pid);
  assert.is(pd.length, 1);
  process.kill(pd[0] as number, "SIGKILL");
  assert.is((await up.exited).code, 1);
  assert.match(up.stderr, /pd \(pid \d+\) ended with signal SIGKILL/);
  assert.match(up.stderr, /PD has ended, so the cluster was stopped/);
  assert.not(isAlive(ready.stores[0]?.pid as number));
});

function pidsBelow(parent: number): number[] {
  const text = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/stat`, "utf8");
    } catch {
      return "";
    }
  };
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => Number(text(pid).split(") ")[1]?.split(" ")[1]) === parent)
    .map(Number);
}

test("members end when up is killed", async () => {
  const { up } = await startUp(["--memory", "--stores", "1"]);
  const members = pidsBelow(up.child.pid as number);
  assert.is(members.length, 2);
  await up.kill();
  await within(LIMIT_MS, "the end of the members", () => !members.some(isAlive));
});

test("a stopped store does not hold up the stop; SIGINT ends as SIGTERM does", async () => {
  const { up, ready } = await startUp(["--memory", "--stores", "1"]);
  process.kill(ready.stores[0]?.pid as number, "SIGSTOP");
  up.child.kill("SIGINT");
  assert.equal(await up.exited, { code: 0, signal: null });
});

test("a port that is taken ends the start with the member's own words", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as { port: number };
  const base = port - 2;
  const up = await runRutile(["up", "--memory", "--stores", "2", "--base-port", String(base)]);
  taken.close();
  assert.is(up.code, 1);
  assert.match(
    up.stderr,
    /^rutile: store-2 ended before the cluster was ready \(exit code 1\): cannot listen on 127/m,
  );
});

test("a configuration goes to the members that have the keys, addresses excepted", async () => {
  const dir = tmpDirInMemory("up");
  const file = join(dir, "up.toml");
  writeFileSync(
    file,
    [
      "replication.max-replicas = 2",
      'raftstore.raft-base-tick-interval = "100ms"',
      'server.addr = "127.0.0.1:1"',
      `log.file.filename = "${dir}/up.log"`,
    ].join("\n"),
  );
  const { up, ready } = await startUp(["--memory", "--stores", "2", "--config", file]);
  assert.match(
    up.stderr,
    /^rutile: warning: up chooses addresses and directories; not used: server.addr$/m,
  );
  const status = ready.stores[1]?.status;
  const config = (await (await fetch(`http://${status}/config`)).json()) as {
    raftstore: Record<string, unknown>;
  };
  assert.is(config.raftstore["raft-base-tick-interval"], "100ms");
  assert.is(config.raftstore["raft-store-max-leader-lease"], "900ms");
  assert.is((await up.stop()).code, 0);
  const logs = readdirSync(dir).filter((name) => name.startsWith("up."));
  assert.equal(logs.sort(), ["up.pd.log", "up.store-1.log", "up.store-2.log", "up.toml"]);
});

test("what is wrong is told before anything starts", async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["--stores", "0"], /argument '0' is invalid. Expected a whole number from 1 to 20/],
    [["--base-port", "x"], /argument 'x' is invalid. Expected a whole number from 0 to 65485/],
    [["--labels", "zone"], /^rutile: --labels: server.labels: given "zone", expected labels/m],
  ];
  for (const [args, expected] of wrong) {
    const result = await runRutile(["up", "--memory", ...args]);
    assert.match(result.stderr, expected);
    assert.not.equal(result.code, 0, args.join(" "));
    assert.is(result.stdout, "", args.join(" "));
  }
});

test.run();
