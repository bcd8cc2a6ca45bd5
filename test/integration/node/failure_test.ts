/**
 * What ends a running process: a failed write, a bug; and what must not: a broken terminal.
 * @timeout 240
 * @seconds 17
 * @waits
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openRaw } from "../../support/raw_grpc.js";
import { ANY_PORTS, Rutile } from "../../support/rutile.js";
import { tmpDir } from "../../support/tmp.js";
import { within } from "../../support/within.js";

const test = suite("failure");

/** Runs what follows with files limited to 1 MiB; a larger write fails with EFBIG, not a signal. */
const SMALL_FILES = ["sh", "-c", 'trap "" XFSZ; ulimit -f 2048; exec "$@"', "sh"];

test("a write that fails is not acknowledged and ends the process with 1", async () => {
  const dir = tmpDir("failure");
  const rutile = new Rutile(["start", "--data-dir", dir, ...ANY_PORTS], { under: SMALL_FILES });
  const raw = await openRaw((await rutile.ready()).pd as string);
  const value = new Uint8Array(128 * 1024);
  let acknowledged = 0;
  let failure = "";
  while (failure === "" && acknowledged < 100) {
    try {
      await raw.put(Buffer.from(`k${acknowledged}`), value);
      acknowledged++;
    } catch (error) {
      failure = (error as Error).message;
    }
  }
  raw.close();
  assert.equal(await rutile.exited, { code: 1, signal: null });
  assert.ok(acknowledged > 0 && acknowledged < 10, `${acknowledged} writes fit below the limit`);
  const last = rutile.stderrLines.at(-1) as string;
  assert.match(last, /^rutile: .*(File too large|EFBIG)/);
  const again = new Rutile(["start", "--data-dir", dir, ...ANY_PORTS]);
  const reopened = await openRaw((await again.ready()).pd as string);
  for (let i = 0; i < acknowledged; i++) {
    const found = await reopened.get(Buffer.from(`k${i}`));
    assert.is(found?.length, value.length, `acknowledged write ${i} is there`);
  }
  reopened.close();
  await again.stop();
});

for (const [what, code] of [
  ["an unhandled rejection", "Promise.reject(new TypeError('boom'))"],
  ["an uncaught exception", "throw new TypeError('boom')"],
] as const) {
  test(`${what} is logged and ends the process with 1`, async () => {
    // The ready block on stdout is the moment after which the code runs.
    const late =
      "const write = process.stdout.write.bind(process.stdout);" +
      `process.stdout.write = (...all) => { setTimeout(() => { ${code} }, 10);` +
      "return write(...all); };";
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(late)}` };
    const rutile = new Rutile(["start", "--memory", ...ANY_PORTS], { env });
    assert.equal(await rutile.exited, { code: 1, signal: null });
    assert.match(rutile.stderr, /\[ERROR\] \[rutile\] \["fatal error, exiting"\] \[error=boom\]/);
    assert.match(rutile.stderr, /^rutile: boom$/m);
  });
}

test("few open files are warned about, and the process serves", async () => {
  const under = ["sh", "-c", 'ulimit -n 512; exec "$@"', "sh"];
  const rutile = new Rutile(["start", "--memory", ...ANY_PORTS], { under });
  await rutile.ready();
  assert.match(
    rutile.stderr,
    /\[WARN\].*few open files are allowed.*\[limit=512\] \[wanted=4096\]/,
  );
  assert.is((await rutile.stop()).code, 0);
});

/** Stops or kills a node under load, and reads what it had answered from the next one. */
async function endUnderLoad(end: (rutile: Rutile) => Promise<void>): Promise<void> {
  const dir = tmpDir("failure");
  const first = new Rutile(["start", "--data-dir", dir, ...ANY_PORTS]);
  const raw = await openRaw((await first.ready()).pd as string);
  const answered: string[] = [];
  const lane = async (name: string): Promise<void> => {
    for (let i = 0; ; i++) {
      const key = `${name}${i}`;
      try {
        await raw.put(Buffer.from(key), Buffer.from(key));
      } catch {
        return;
      }
      answered.push(key);
    }
  };
  const lanes = Array.from({ length: 16 }, (_, at) => lane(`lane${at}-`));
  await within(10_000, "load is under way", () => answered.length > 100);
  await end(first);
  await Promise.all(lanes);
  raw.close();
  const second = new Rutile(["start", "--data-dir", dir, ...ANY_PORTS]);
  const again = await openRaw((await second.ready()).pd as string);
  for (const key of answered) {
    assert.equal(await again.get(Buffer.from(key)), Buffer.from(key), key);
  }
  again.close();
  assert.is((await second.stop()).code, 0);
}

test("SIGTERM under load: what was answered is there, the exit code is 0", () =>
  endUnderLoad(async (rutile) => {
    assert.is((await rutile.stop()).code, 0);
  }));

test("SIGKILL under load: what was answered is there", () =>
  endUnderLoad(async (rutile) => {
    assert.is((await rutile.kill()).signal, "SIGKILL");
  }));

test("a terminal that is gone does not end the process", async () => {
  const rutile = new Rutile(["start", "--memory", ...ANY_PORTS]);
  rutile.child.stderr?.destroy();
  rutile.child.stdout?.destroy();
  const ready = await rutile.ready();
  const raw = await openRaw(ready.pd as string);
  await raw.put(Buffer.from("a"), Buffer.from("b"));
  raw.close();
  assert.is((await rutile.stop()).code, 0);
});

test.run();
