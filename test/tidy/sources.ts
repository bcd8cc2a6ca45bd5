/** The project's own files and their imports, as the tidy tests see them: text, no compiler. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const SKIPPED = new Set(["node_modules", "build", ".git", "coverage", "target"]);

/** Returns paths relative to the project root, sorted, of files below `folder` with an ending. */
export function filesBelow(folder: string, ending: string): string[] {
  const found: string[] = [];
  if (!existsSync(join(ROOT, folder))) return found;
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    if (SKIPPED.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...filesBelow(path, ending));
    else if (entry.name.endsWith(ending)) found.push(path);
  }
  return found.sort();
}

/** Returns the text of a file. */
export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Returns source text with comments and the contents of string literals blanked. */
export function codeOf(path: string): string {
  const pattern =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g;
  return textOf(path).replace(pattern, (match) => match.replace(/[^\n]/g, " "));
}

export interface Import {
  /** Importing file, relative to the root. */
  readonly from: string;
  /** The specifier as written. */
  readonly specifier: string;
  /** The imported project file, or undefined for a package. */
  readonly target: string | undefined;
}

const IMPORTS = [
  /(?:^|\n)\s*(?:import|export)\s+(?:type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?"([^"]+)"/g,
  /\bimport\(\s*"([^"]+)"\)/g,
  /new URL\(\s*"(\.[^"]+\.js)"/g,
];

/** Returns the static and dynamic imports of a TypeScript file, worker URLs included. */
export function importsOf(path: string): Import[] {
  const text = textOf(path);
  const found: Import[] = [];
  for (const pattern of IMPORTS) {
    for (const match of text.matchAll(pattern)) {
      const specifier = match[1] as string;
      const target = specifier.startsWith(".")
        ? normalize(join(dirname(path), specifier)).replace(/\.js$/, ".ts")
        : undefined;
      found.push({ from: path, specifier, target });
    }
  }
  return found;
}

/** Returns `path` relative to src/, or undefined outside of it. */
export function insideSrc(path: string): string | undefined {
  const inner = relative("src", path);
  return inner.startsWith("..") ? undefined : inner;
}
