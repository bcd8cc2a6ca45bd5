/** Plants a bug; to be called before the production code is imported. */
import { register } from "node:module";
import { BUGS } from "./list.js";

/** Throws when there is no such bug. */
export function plant(name: string): void {
  const bug = BUGS.find((known) => known.name === name);
  if (bug === undefined) {
    throw new Error(`no bug ${name}; there are ${BUGS.map((known) => known.name).join(", ")}`);
  }
  register("./hooks.js", import.meta.url, { data: bug });
}
