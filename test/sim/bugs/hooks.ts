/** Module hooks that plant one bug; Node runs them beside the process that loads modules. */
import type { InitializeHook, LoadHook } from "node:module";
import { type Bug, plantInto } from "./bug.js";

let planted: Bug | undefined;

export const initialize: InitializeHook<Bug> = (bug) => {
  planted = bug;
};

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  const path = planted?.file.replace(/\.ts$/, ".js");
  if (planted === undefined || path === undefined || !url.endsWith(`/${path}`)) return loaded;
  const source = Buffer.from(loaded.source as Uint8Array).toString("utf8");
  return { ...loaded, source: plantInto(planted, source) };
};
