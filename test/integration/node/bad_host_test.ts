/**
 * A host that is not as it should be: a disk that fills up, addresses that cannot be used, a PD
 * that has no address, few files, configuration files that are wrong.
 * @timeout 120
 * @seconds 14
 * @waits
 */
import { spawnSync } from "node:child_process";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openRaw } from "../../support/raw_grpc.js";
import { ANY_PORTS, Rutile, runRutile } from "../../support/rutile.js";
import { tmpDir } from "../../support/tmp.js";
import { within } from "../../support/within.js";

const test = suite("bad host");
const MIB = 1024 * 1024;
const DISK_BYTES = 256 * MIB;

/** Mounts a small file system on `dir`. Only root may, and not in every container. */
function mountSmallDisk(dir: string): boolean {
  const args = ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", dir];
  return spawnSync("mount", args).status === 0;
}

function freeBytes(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
}

async function fillAndFree(dir: string): Promise<void> {
  const config = join(tmpDir("full-disk"), "rutile.toml");
  writeFileSync(config, '[storage]\nreserve-space = "64MiB"\n');
  const args = ["start", "--data-dir", join(dir, "data"), "--config", config, ...ANY_PORTS];
  const rutile = new Rutile(args);
  const raw = await openRaw((await rutile.ready()).pd as string);
  const value = Buffer.alloc(1024, 1);
  for (let i = 0; i < 100; i++) await raw.put(Buffer.from(`before${i}`), value);
  const filler = join(dir, "filler");
  writeFileSync(filler, Buffer.alloc(freeBytes(dir) - 20 * MIB));
  const put = (key: string): Promise<string> =>
    raw.put(Buffer.from(key), value).then(
      () => "",
      (error: Error) => error.message,
    );
  const refusal = await within(5000, "a write to be refused", async () => {
    const answer = await put("probe");
    return answer === "" ? undefined : answer;
  });
  assert.match(refusal, /disk full/);
  for (let i = 0; i < 1000; i++) assert.match(await put(`during${i}`), /disk full/);
  assert.equal(await raw.get(Buffer.from("before99")), value, "reads go on");
  assert.is(await raw.get(Buffer.from("during0")), undefined, "what was refused is not there");
  rmSync(filler);
  await within(5000, "writes to be taken again", async () => (await put("after")) === "");
  assert.equal(await raw.get(Buffer.from("after")), value);
  raw.close();
  assert.is((await rutile.stop()).code, 0);
  const again = new Rutile(args);
  const reopened = await openRaw((await again.ready()).pd as string);
  for (let i = 0; i < 100; i++) {
    assert.equal(await reopened.get(Buffer.from(`before${i}`)), value, `before${i}`);
  }
  assert.equal(await reopened.get(Buffer.from("after")), value);
  assert.is(await reopened.get(Buffer.from("during999")), undefined);
  reopened.close();
  assert.is((await again.stop()).code, 0);
}

test("a real disk that fills up: DiskFull, reads and deletes go on, writes come back", async () => {
  const dir = tmpDir("full-disk");
  if (!mountSmallDisk(dir)) {
    // Not `requires`: a container may have all the tools and still not this right.
    console.log("SKIP needs the right to mount a tmpfs");
    return;
  }
  try {
    await fillAndFree(dir);
  } finally {
    spawnSync("umount", ["-l", dir]);
  }
});

/** Arguments → the one line on stderr. */
const REFUSED: readonly (readonly [string, readonly string[], RegExp])[] = [
  [
    "an address of another host",
    ["--addr", "203.0.113.1:20160"],
    /^rutile: cannot listen on 203\.0\.113\.1:20160: .*EADDRNOTAVAIL.*\n$/,
  ],
  [
    "an address whose host has no name",
    ["--addr", "no-host.invalid:20160"],
    /^rutile: cannot listen on no-host\.invalid:20160: .*(ENOTFOUND|EAI_AGAIN).*\n$/,
  ],
  [
    "an advertised address of 0.0.0.0",
    ["--advertise-addr", "0.0.0.0:20160"],
    /^rutile: --advertise-addr: .*0\.0\.0\.0:20160.*no client can connect to.*\n$/,
  ],
  [
    "a port out of range",
    ["--addr", "127.0.0.1:65536"],
    /^rutile: --addr: server\.addr: given "127\.0\.0\.1:65536", expected an address .*\n$/,
  ],
];

for (const [name, more, line] of REFUSED) {
  test(`${name} is refused in one line`, async () => {
    const rest = ANY_PORTS.filter((_, i) => ANY_PORTS[i - (i % 2)] !== more[0]);
    const { code, stderr } = await runRutile(["start", "--memory", ...rest, ...more]);
    assert.is(code, 1, stderr);
    assert.match(stderr, line);
  });
}

test("a PD whose name does not resolve is waited for, and named in the log", async () => {
  const pd = "no-host.invalid:2379";
  const ports = ["--addr", "127.0.0.1:0", "--status-addr", "127.0.0.1:0"];
  const dir = tmpDir("unresolved");
  const store = new Rutile(["store", "--data-dir", dir, "--pd-endpoints", pd, ...ports]);
  await within(20_000, "the store waits", () =>
    /\[WARN\].*no-host\.invalid:2379/.test(store.stderr),
  );
  assert.is((await store.stop()).code, 0);
});

test("256 open files: a warning, and the process serves", async () => {
  const under = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh"];
  const rutile = new Rutile(["start", "--memory", ...ANY_PORTS], { under });
  const raw = await openRaw((await rutile.ready()).pd as string);
  assert.match(rutile.stderr, /\[WARN\].*few open files are allowed.*\[limit=256\]/);
  await raw.put(Buffer.from("k"), Buffer.from("v"));
  raw.close();
  assert.is((await rutile.stop()).code, 0);
});

test("wrong configuration files end a start with a line each, without a stack", async () => {
  const dir = tmpDir("config");
  const files: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
    [
      "unknown",
      "[server]\naddres = 1\n",
      /unknown:2: unknown key server\.addres .*server\.addr\?$/,
    ],
    ["huge", Buffer.alloc(100 * MIB, 0x23), /huge: is 104857600 bytes/],
  ];
  for (const [name, content, line] of files) {
    const file = join(dir, name);
    writeFileSync(file, content);
    const result = await runRutile(["start", "--memory", "--config", file, ...ANY_PORTS]);
    assert.is(result.code, 1, name);
    const lines = result.stderr.trimEnd().split("\n");
    assert.is(lines.length, 1, result.stderr);
    assert.match(lines[0] as string, line);
  }
});

test.run();
