/**
 * Directories: one process at a time, none that cannot be written, none of an unknown format.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bindingOfEnvironment, bindingPresent } from "../../support/engine_harness.js";
import { engineOutcome, startEngine } from "../../support/engine_process.js";
import { hasProgram, requires } from "../../support/requires.js";
import { tmpDir } from "../../support/tmp.js";
import { within } from "../../support/within.js";

const binding = bindingOfEnvironment();
const root = tmpDir("directory");
const WAIT_MS = 20_000;

const open = (path: string, before: readonly string[] = []): ReturnType<typeof engineOutcome> =>
  engineOutcome(binding, ["open", path], before);

function directoryTests(): void {
  test("a second process is refused with the directory and the pid; a killed one locks nothing", async () => {
    const path = join(root, "locked");
    const holder = startEngine(binding, ["hold", path]);
    await within(WAIT_MS, "the holder has it open", () => holder.lines.length > 0);
    const refused = await open(path);
    assert.is(refused.code, "RUTILE:Engine:Locked");
    assert.match(refused.message ?? "", path);
    assert.match(refused.message ?? "", `process ${holder.child.pid}`);
    holder.child.kill("SIGKILL");
    await holder.ended;
    assert.is((await open(path)).code, undefined);
  });

  test("a process that exits without closing ends with its own exit code", async () => {
    const holder = startEngine(binding, ["hold", join(root, "unclosed")]);
    await within(WAIT_MS, "the holder has it open", () => holder.lines.length > 0);
    holder.child.stdin?.end();
    assert.equal(await holder.ended, { code: 0, signal: null }, holder.errors());
  });

  test("a file in the place of the directory is refused", async () => {
    const path = join(root, "file");
    writeFileSync(path, "not a directory");
    const refused = await open(path);
    assert.is(refused.code, "RUTILE:Engine:Io");
    assert.match(refused.message ?? "", path);
    assert.is((await open(join(path, "below"))).code, "RUTILE:Engine:Io");
    assert.is(readFileSync(path, "utf8"), "not a directory");
  });

  test("a directory that cannot be created is refused", async () => {
    assert.is((await open("/proc/rutile-data")).code, "RUTILE:Engine:Io");
  });

  test("an unknown format is refused with both versions", async () => {
    const path = join(root, "newer");
    mkdirSync(path);
    writeFileSync(join(path, "RUTILE_FORMAT"), "rutile-engine-format 7\nwritten-by 9.9.9\n");
    const refused = await open(path);
    assert.is(refused.code, "RUTILE:Engine:Format");
    assert.match(refused.message ?? "", /format 7, written by v9\.9\.9; this is v0\./);
  });

  test("a damaged marker and a database without one are refused", async () => {
    const path = join(root, "marker");
    assert.is((await open(path)).code, undefined);
    writeFileSync(join(path, "RUTILE_FORMAT"), "rutile-eng\0ine-format 1\n");
    assert.is((await open(path)).code, "RUTILE:Engine:Corruption");
    rmSync(join(path, "RUTILE_FORMAT"));
    const refused = await open(path);
    assert.is(refused.code, "RUTILE:Engine:Format");
    assert.match(refused.message ?? "", /did not write/);
  });

  const mount = ["unshare", "-m", "sh", "-c"];
  const remount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && shift 0 && exec "$@"';
  const canMount = (): boolean => process.getuid?.() === 0 && hasProgram("unshare");
  if (requires("root and unshare, for a read-only mount", canMount)) {
    test("a read-only directory is refused, new or with data", async () => {
      for (const name of ["readonly-new", "readonly-data"]) {
        const path = join(root, name);
        mkdirSync(path);
        if (name === "readonly-data") assert.is((await open(path)).code, undefined);
        const refused = await open(path, [...mount, remount, path]);
        assert.is(refused.code, "RUTILE:Engine:Io", refused.message ?? "it opened");
        assert.match(refused.message ?? "", /[Rr]ead-only/);
      }
    });
  }
}

if (bindingPresent(binding)) directoryTests();
else test.skip("the library is missing", () => {});

test.run();
