/** Documentation that names a path, a script or a file names one that exists. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { filesBelow, ROOT, textOf } from "./sources.js";

const PAGES = filesBelow(".", ".md");
const SCRIPTS = Object.keys(
  (JSON.parse(textOf("package.json")) as { scripts: Record<string, string> }).scripts,
);

function proseOf(page: string): string {
  return textOf(page).replace(/```[\s\S]*?```/g, "");
}

/** Returns "page: match" for each first group of `pattern` that `exists` refuses. */
function missing(pattern: RegExp, exists: (match: string, page: string) => boolean): string {
  const problems: string[] = [];
  for (const page of PAGES) {
    for (const match of proseOf(page).matchAll(pattern)) {
      if (!exists(match[1] as string, page)) problems.push(`${page}: ${match[1]}`);
    }
  }
  return problems.join("\n");
}

test("one title a page", () => {
  const wrong = PAGES.filter((page) => (proseOf(page).match(/^# /gm) ?? []).length !== 1);
  assert.is(wrong.join("\n"), "");
});

test("paths in backticks exist", () => {
  const pattern = /`((?:src|test|bench|proto|assembly|\.ci)\/(?![\w/]*\bx[._])[\w./-]*)`/g;
  assert.is(
    missing(pattern, (path) => existsSync(join(ROOT, path))),
    "",
  );
});

test("links to files exist", () => {
  const exists = (path: string, page: string): boolean =>
    existsSync(join(ROOT, dirname(page), path));
  assert.is(missing(/\]\(([^)#:]+)(?:#[^)]*)?\)/g, exists), "");
});

test("npm scripts exist", () => {
  const pattern = /npm run (?:--silent )?([\w:]+)/g;
  assert.is(
    missing(pattern, (script) => SCRIPTS.includes(script)),
    "",
  );
});

test("every folder of src has a README", () => {
  const folders = new Set(
    filesBelow("src", ".ts")
      .map((path) => path.split("/").slice(0, 2).join("/"))
      .filter((path) => !path.endsWith(".ts")),
  );
  const without = [...folders].filter((folder) => !existsSync(join(ROOT, folder, "README.md")));
  assert.is(without.join("\n"), "");
});

test.run();
