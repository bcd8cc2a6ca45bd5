import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VERSION } from "../../src/base/index.js";

test("VERSION is package.json's", () => {
  const text = readFileSync(new URL("../../../../package.json", import.meta.url), "utf8");
  assert.is((JSON.parse(text) as { version: string }).version, VERSION);
});

test.run();
