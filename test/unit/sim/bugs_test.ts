/** Every planted bug still fits the compiled text of its file. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { plantInto } from "../../sim/bugs/bug.js";
import { BUGS } from "../../sim/bugs/list.js";

const BUILT = fileURLToPath(new URL("../../..", import.meta.url));

test("every bug fits its file and changes it", () => {
  assert.ok(BUGS.length >= 12);
  assert.is(new Set(BUGS.map((bug) => bug.name)).size, BUGS.length);
  for (const bug of BUGS) {
    const source = readFileSync(join(BUILT, bug.file.replace(/\.ts$/, ".js")), "utf8");
    assert.is.not(plantInto(bug, source), source, bug.name);
  }
});

test("an edit that does not fit is refused, asserts are taken out", () => {
  const bug = { name: "x", what: "", file: "f.ts", edits: [{ find: "a()", replace: "b()" }] };
  assert.throws(() => plantInto(bug, "c();"), /bug x: 0 times/);
  assert.throws(() => plantInto(bug, "a();a();"), /bug x: 2 times/);
  assert.is(plantInto(bug, "a();\n  assert(x, y);"), "b();\n  ((...ignored) => ignored)(x, y);");
});

test.run();
