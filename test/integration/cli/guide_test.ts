/** The guide of the README: the files that it shows are valid, and its paths fit together. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runRutile } from "../../support/rutile.js";
import { tmpDir } from "../../support/tmp.js";
import { ROOT } from "../../tidy/sources.js";

const test = suite("guide");

const README = readFileSync(join(ROOT, "README.md"), "utf8");

/** Returns the indented block that holds `line`. */
function blockWith(line: string): string {
  const block = README.split(/\n(?! {4})/)
    .map((part) => part.split("\n").filter((one) => one.startsWith("    ")))
    .find((lines) => lines.includes(`    ${line}`));
  assert.ok(block !== undefined, line);
  return `${(block as string[]).map((one) => one.slice(4)).join("\n")}\n`;
}

for (const [role, line] of [
  ["pd", 'data-dir = "/var/lib/rutile/pd"'],
  ["store", 'storage.data-dir = "/var/lib/rutile/store-1"'],
] as const) {
  test(`the file of ${role} is valid`, async () => {
    const file = join(tmpDir("guide"), `${role}.toml`);
    writeFileSync(file, blockWith(line));
    const checked = await runRutile([role, "--config", file, "--config-check"]);
    assert.is(checked.stderr, "");
    assert.is(checked.stdout, "rutile: the configuration is valid\n");
    assert.is(checked.code, 0);
  });
}

test("the units run the commands with the files that are shown", () => {
  const entry = (
    JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
      bin: { rutile: string };
    }
  ).bin.rutile;
  for (const [role, file] of [
    ["pd", "pd.toml"],
    ["store", "store-%i.toml"],
  ] as const) {
    const unit = blockWith(
      `ExecStart=/usr/bin/node /opt/rutile/${entry} ${role} --config /etc/rutile/${file}`,
    );
    for (const key of ["User=rutile", "LimitNOFILE=", "TimeoutStopSec=30", "Restart=on-failure"]) {
      assert.ok(unit.includes(key), `${role}: ${key}`);
    }
    assert.ok(README.includes(`/etc/rutile/${file.replace("%i", "1")}`), file);
  }
});

test.run();
