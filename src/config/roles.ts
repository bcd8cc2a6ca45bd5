/**
 * The configuration of each command: which fields it has, what it checks, where its data goes.
 * `start` runs both roles from one file, so it takes the keys of both.
 */
import { join } from "node:path";
import { checkPd, PD_FIELDS } from "./pd.js";
import { followDefaults } from "./raftstore.js";
import type { Values } from "./schema.js";
import { checkTikv, TIKV_FIELDS, type TikvConfig } from "./tikv.js";
import { type Problem, readTomlFile, type TomlDocument } from "./toml.js";
import { type FlagValue, type Validated, validate } from "./validate.js";

/** Keys of PD and of a store in one file. */
export const START_FIELDS = { ...PD_FIELDS, ...TIKV_FIELDS } as const;
export type StartConfig = Values<typeof START_FIELDS>;

export const ROLES = ["start", "store", "pd"] as const;
export type Role = (typeof ROLES)[number];

interface FieldsOf {
  readonly start: typeof START_FIELDS;
  readonly store: typeof TIKV_FIELDS;
  readonly pd: typeof PD_FIELDS;
}

/** The fields of each role, for --print-default-config. */
export const ROLE_FIELDS: FieldsOf = { start: START_FIELDS, store: TIKV_FIELDS, pd: PD_FIELDS };

/** Where `start` keeps what, unless the file says otherwise. */
export const DATA_DIR_DEFAULT = "./rutile-data";

export interface Loaded<R extends Role> {
  readonly values: Values<FieldsOf[R]>;
  readonly given: ReadonlySet<string>;
  readonly warnings: readonly Problem[];
}

export type LoadResult<R extends Role> =
  | { readonly ok: true; readonly config: Loaded<R> }
  | {
      readonly ok: false;
      readonly problems: readonly Problem[];
      readonly warnings: readonly Problem[];
    };

/**
 * Reads the file of `role`, if there is one, and the flags over it; returns every problem at once.
 */
export function loadConfig<R extends Role>(
  role: R,
  file: string | undefined,
  flags: readonly FlagValue[],
): LoadResult<R> {
  let document: TomlDocument | undefined;
  if (file !== undefined) {
    const read = readTomlFile(file);
    if (!read.ok) return { ok: false, problems: read.problems, warnings: [] };
    document = read.document;
  }
  const fields: FieldsOf[R] = ROLE_FIELDS[role];
  const sources = document === undefined ? { flags } : { document, flags };
  const checked = validate(fields, sources, Object.keys(START_FIELDS));
  const problems = [...checked.problems, ...relationsOf(role, checked)];
  const { given, warnings } = checked;
  if (problems.length > 0) return { ok: false, problems, warnings };
  return { ok: true, config: { values: filled(role, checked), given, warnings } };
}

function filled<R extends Role>(
  role: R,
  { given, values }: Validated<FieldsOf[R]>,
): Values<FieldsOf[R]> {
  if (role === "pd") return values;
  const store: unknown = followDefaults(values as unknown as TikvConfig, given);
  return store as Values<FieldsOf[R]>;
}

function relationsOf(role: Role, checked: unknown): Problem[] {
  const problems: Problem[] = [];
  if (role !== "pd") problems.push(...checkTikv(checked as Validated<typeof TIKV_FIELDS>));
  if (role !== "store") problems.push(...checkPd(checked as Validated<typeof PD_FIELDS>));
  return problems;
}

/**
 * Returns where `start` keeps PD's and the store's data: below `base` (--data-dir), unless the file
 * names a directory for one of them and no flag says otherwise.
 */
export function startDirs(
  config: Loaded<"start">,
  flag: string | undefined,
): { readonly base: string; readonly pd: string; readonly store: string } {
  const base = flag ?? DATA_DIR_DEFAULT;
  const pick = (key: "data-dir" | "storage.data-dir", name: string): string =>
    flag === undefined && config.given.has(key) ? config.values[key] : join(base, name);
  return { base, pd: pick("data-dir", "pd"), store: pick("storage.data-dir", "store") };
}
