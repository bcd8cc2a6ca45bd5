/** `rutile ctl` against scripted PD and stores: what it prints, and its exit codes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytesText, json, parseBytes, table } from "../../../src/cli/ctl_output.js";
import { type ClientCluster, withCluster } from "../../support/client_cluster.js";
import { type Ran, runCtl } from "../../support/ctl.js";

type Run = (...args: string[]) => Promise<Ran>;

function withCtl(body: (run: Run, parts: ClientCluster) => Promise<void>): Promise<void> {
  return withCluster((parts) =>
    body((...args) => runCtl("--pd-endpoints", parts.pd.address, ...args), parts),
  );
}

test("put, get, delete", () =>
  withCtl(async (run) => {
    assert.equal(await run("get", "a"), { out: "", error: "not found", code: 1 });
    assert.equal(await run("put", "a", "hello"), { out: "ok", error: "", code: 0 });
    assert.is((await run("get", "a")).out, "hello");
    assert.is((await run("--hex", "get", "0x61")).out, "0x68656c6c6f");
    const found = { found: true, key: "a", value: "hello" };
    assert.equal(JSON.parse((await run("--json", "get", "a")).out), found);
    assert.equal(JSON.parse((await run("--json", "delete", "a")).out), { ok: true });
    assert.equal(JSON.parse((await run("--json", "get", "a")).out), { found: false, key: "a" });
  }));

test("scan prints a table, in both directions", () =>
  withCtl(async (run) => {
    await run("put", "a", "1");
    await run("put", "bb", "2");
    await run("put", "0x00ff", "3");
    assert.is((await run("scan")).out, "key     value\n0x00ff  3\na       1\nbb      2");
    assert.is((await run("scan", "a", "--reverse", "--keys-only", "--limit", "1")).out, "key\nbb");
    assert.is((await run("scan", "x")).out, "(none)");
    assert.equal(JSON.parse((await run("--json", "scan", "b")).out), [{ key: "bb", value: "2" }]);
    assert.match((await run("scan", "--limit", "x")).error, "error: --limit must be a number");
  }));

test("stores, members, regions, region", () =>
  withCtl(async (run, { cluster, pd, stores }) => {
    cluster.split(Buffer.from("m"));
    const [store] = JSON.parse((await run("--json", "stores")).out);
    assert.equal([store.id, store.address, store.state], [1, stores[0]?.address, "Up"]);
    assert.match((await run("members")).out, new RegExp(`pd +7 +true +http://${pd.address}`));
    const regions = JSON.parse((await run("--json", "regions")).out);
    assert.equal(
      regions.map((region: { start: string; end: string }) => [region.start, region.end]),
      [
        ["", "m"],
        ["m", ""],
      ],
    );
    assert.match((await run("regions")).out, /^\d+ +"" +m .*\n\d+ +m +"" /m);
    const id = String(cluster.regions[1]?.id);
    assert.is((await run("region", "--key", "z")).out, (await run("region", id)).out);
    assert.match((await run("region", "99999")).error, "error: PD knows no such region");
    assert.match((await run("region")).error, "error: give an id or --key");
  }));

test("tso takes a timestamp and explains one", () =>
  withCtl(async (run) => {
    const [taken] = JSON.parse((await run("--json", "tso")).out);
    assert.match(taken.timestamp, /^\d{18}$/);
    const [told] = JSON.parse((await run("--json", "tso", taken.timestamp)).out);
    assert.equal(told, taken);
    assert.is(told.time, new Date(told.physical_ms).toISOString());
    assert.match((await run("tso", "now")).error, "error: not a timestamp: now");
  }));

test("an error is one line with its code, and exit code 1", async () => {
  const ran = await runCtl(...["--pd-endpoints", "127.0.0.1:1", "--timeout", "0.2", "get", "a"]);
  assert.is(ran.code, 1);
  assert.is(ran.error.split("\n").length, 1);
  assert.match(ran.error, /^error: .*127\.0\.0\.1:1.*\[RUTILE:Client:(PdUnavailable|Timeout)\]$/);
  const pd = await runCtl(...["--pd-endpoints", "127.0.0.1:1", "--timeout", "0.2", "stores"]);
  assert.match(pd.error, /^error: PD: no PD leader: 127\.0\.0\.1:1: /);
  const version = await runCtl(...["--api-version", "V3", "get", "a"]);
  assert.match(version.error, "error: --api-version must be V1, V1TTL, V2, not V3");
});

test("bytes are text where they are printable and hex where not, and can be typed back", () => {
  for (const hex of ["", "61", "00", "ff", "c3a9", "3078", "e282ac20"]) {
    const bytes = Buffer.from(hex, "hex");
    assert.equal(Buffer.from(parseBytes(bytesText(bytes))), bytes, hex);
  }
  assert.is(bytesText(Buffer.from("é")), "é");
  assert.throws(() => parseBytes("0xzz"), /not a hex string/);
  assert.is(json({ a: 2n ** 64n - 1n, b: 5n }), '{\n  "a": "18446744073709551615",\n  "b": 5\n}');
  assert.is(
    table([
      { a: 1n, b: undefined },
      { a: "xyz", b: ["u", "v"] },
    ]),
    "a    b\n1    -\nxyz  u,v",
  );
});

test.run();
