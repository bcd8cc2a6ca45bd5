/** The command line without a server: help, version, wrong usage, checking and printing configs. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runRutile } from "../../support/rutile.js";
import { tmpDir } from "../../support/tmp.js";

const test = suite("cli usage");

test("--version and --help answer on stdout and exit 0", async () => {
  const [version, help, startHelp] = await Promise.all([
    runRutile(["--version"]),
    runRutile(["--help"]),
    runRutile(["store", "--help"]),
  ]);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.is(version.code, 0);
  assert.match(help.stdout, /Exit codes: 0 stopped or done, 1 failed/);
  assert.is(help.code, 0);
  for (const flag of ["--data-dir", "--addr", "--advertise-addr", "--status-addr", "--labels"]) {
    assert.ok(startHelp.stdout.includes(flag), flag);
  }
  assert.ok(startHelp.stdout.includes("--pd-endpoints"));
});

/** Arguments → exit code and all of stderr. */
const WRONG: readonly (readonly [readonly string[], number, string])[] = [
  [["strat"], 2, "rutile: unknown command 'strat' (Did you mean start?); see rutile --help\n"],
  [
    ["start", "--adr", "h:1"],
    2,
    "rutile: unknown option '--adr' (Did you mean --addr?); see rutile start --help\n",
  ],
  [["pd", "--addr", "h:1"], 2, "rutile: unknown option '--addr'; see rutile pd --help\n"],
  [
    ["start", "--addr"],
    2,
    "rutile: option '-A, --addr <host:port>' argument missing; see rutile start --help\n",
  ],
  [
    ["start", "now"],
    2,
    "rutile: too many arguments for 'start'. Expected 0 arguments but got 1.; see rutile start --help\n",
  ],
  [
    ["start", "--addr", "20160"],
    1,
    'rutile: --addr: server.addr: given "20160", expected an address "HOST:PORT", such as "127.0.0.1:20160"\n',
  ],
  [
    ["start", "--log-level", "loud", "--labels", "zone"],
    1,
    'rutile: --labels: server.labels: given "zone", expected labels of letters, digits, ' +
      '"-", "_", ".", such as { zone = "z1" }\n' +
      'rutile: --log-level: log.level: given "loud", expected one of "debug", "info", "warn", "error"\n',
  ],
  [
    ["store", "--addr", "0.0.0.0:20160"],
    1,
    'rutile: --addr: server.addr: given "0.0.0.0:20160", which no client can connect ' +
      "to; set server.advertise-addr (--advertise-addr) to this host's name or IP\n",
  ],
  [
    ["start", "--config", "/nowhere/rutile.toml"],
    1,
    "rutile: /nowhere/rutile.toml: cannot be read: ENOENT: no such file or directory, stat '/nowhere/rutile.toml'\n",
  ],
];

for (const [args, code, stderr] of WRONG) {
  test(`rutile ${args.join(" ")} exits ${code}`, async () => {
    const result = await runRutile(args);
    assert.is(result.stderr, stderr);
    assert.is(result.code, code);
    assert.is(result.stdout, "");
  });
}

test("--config-check tells all problems and warnings, or that there are none", async () => {
  const file = join(tmpDir("cli"), "rutile.toml");
  writeFileSync(file, '[server]\nadddr = "h:1"\n[raftstore]\nprevote = true\ncapacity = "1GBB"\n');
  const bad = await runRutile(["store", "--config", file, "--config-check"]);
  assert.is(bad.code, 1);
  assert.equal(bad.stderr.replaceAll(file, "F").split("\n"), [
    "rutile: warning: F:4: raftstore.prevote is a key of TiKV or PD that Rutile does not use",
    'rutile: F:2: unknown key server.adddr (given "h:1"); did you mean server.addr?',
    'rutile: F:5: raftstore.capacity: given "1GBB", expected a size with units B, KiB, MiB, GiB, such as "8MiB"',
    "",
  ]);
  writeFileSync(file, '[server]\naddr = "h:1"\n');
  const good = await runRutile(["store", "--config", file, "--config-check"]);
  assert.equal(
    [good.code, good.stdout, good.stderr],
    [0, "rutile: the configuration is valid\n", ""],
  );
});

test("--print-default-config of each command passes --config-check of that command", async () => {
  const dir = tmpDir("cli");
  for (const command of ["start", "store", "pd"]) {
    const printed = await runRutile([command, "--print-default-config"]);
    assert.is(printed.code, 0);
    const file = join(dir, `${command}.toml`);
    writeFileSync(file, printed.stdout);
    const checked = await runRutile([command, "--config", file, "--config-check"]);
    assert.equal([command, checked.code, checked.stderr], [command, 0, ""]);
  }
});

test.run();
