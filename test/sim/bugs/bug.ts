/**
 * A bug that is planted into production code when it is loaded, in the simulator's process only:
 * the compiled text of one file is changed and its asserts are taken out, so that a general checker
 * has to find it. Production code knows nothing of this.
 */
export interface Edit {
  /** Text of the compiled file, present exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Bug {
  readonly name: string;
  /** What is wrong, for people. */
  readonly what: string;
  /** Source file below the repository. */
  readonly file: string;
  readonly edits: readonly Edit[];
  /** What clients have to do for it to show; default: operations on raw keys. */
  readonly workload?: "txn" | "gc";
  /** Further files whose asserts would find it before a checker does. */
  readonly quiet?: readonly string[];
}

/** Returns a compiled text without its asserts. */
export function withoutAsserts(source: string): string {
  return source.replaceAll(/^(\s*)assert\(/gm, "$1((...ignored) => ignored)(");
}

/** Returns the text with the bug in it. Throws when an edit does not fit any more. */
export function plantInto(bug: Bug, source: string): string {
  let text = source;
  for (const { find, replace } of bug.edits) {
    const parts = text.split(find);
    if (parts.length !== 2) {
      throw new Error(`bug ${bug.name}: ${parts.length - 1} times in ${bug.file}: ${find}`);
    }
    text = parts.join(replace);
  }
  return withoutAsserts(text);
}

/** Returns the arguments of a run that looks for a bug. */
export function argumentsFor({ name, workload }: Bug): string[] {
  return ["--bug", name, ...(workload === undefined ? [] : [`--${workload}`])];
}
