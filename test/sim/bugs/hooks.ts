/** Module hooks that plant one bug; Node runs them beside the process that loads modules. */
import type { InitializeHook, LoadHook } from "node:module";
import { type Bug, plantInto, withoutAsserts } from "./bug.js";

let planted: Bug | undefined;

export const initialize: InitializeHook<Bug> = (bug) => {
  planted = bug;
};

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  if (planted === undefined) return loaded;
  const isFile = (file: string): boolean => url.endsWith(`/${file.replace(/\.ts$/, ".js")}`);
  const text = (): string => Buffer.from(loaded.source as Uint8Array).toString("utf8");
  if (isFile(planted.file)) return { ...loaded, source: plantInto(planted, text()) };
  if (planted.quiet?.some(isFile)) return { ...loaded, source: withoutAsserts(text()) };
  return loaded;
};
