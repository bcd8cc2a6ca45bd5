/**
 * Where log lines go: stderr or a file that is renamed when it is full. Lines are written at once
 * (no buffer), so that the last ones before a crash are there. A failing disk loses lines, nothing else.
 */
import { closeSync, openSync, readdirSync, renameSync, statSync, unlinkSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { destination } from "pino";
import { type Clock, errorMessage, TikvError } from "../base/index.js";
import type { LogOptions } from "../config/index.js";
import { makeDir } from "./make_dir.js";

const DAY_MS = 86_400_000;

export interface LogSink {
  write(line: string): void;
  /** Opens the file anew, after another program renamed it. */
  reopen(): void;
}

/** Opens the sink of `options`. Errs with RUTILE:Log:File when the file cannot be opened. */
export function openLogSink(options: LogOptions, clock: Clock): LogSink {
  if (options.filename === "") {
    const stream = destination({ dest: 2, sync: true });
    stream.on("error", ignoreWriteError);
    return { write: (line) => void stream.write(line), reopen: () => {} };
  }
  return new FileSink(options, clock);
}

/** A log that cannot be written has nowhere to say so. */
function ignoreWriteError(): void {}

class FileSink implements LogSink {
  readonly #options: LogOptions;
  readonly #clock: Clock;
  readonly #stream;
  #sizeBytes: number;

  constructor(options: LogOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    const { filename } = options;
    try {
      makeDir(dirname(filename));
      closeSync(openSync(filename, "a"));
      this.#sizeBytes = statSync(filename).size;
    } catch (cause) {
      const text = `cannot open the log file ${filename}: ${errorMessage(cause)}`;
      throw new TikvError("RUTILE:Log:File", text, { cause });
    }
    this.#stream = destination({ dest: filename, sync: true, append: true });
    this.#stream.on("error", ignoreWriteError);
  }

  write(line: string): void {
    if (this.#sizeBytes + line.length > this.#options.maxSizeBytes) this.#rotate();
    this.#sizeBytes += line.length;
    this.#stream.write(line);
  }

  reopen(): void {
    this.#stream.reopen();
    this.#sizeBytes = 0;
  }

  #rotate(): void {
    const { filename } = this.#options;
    const stamp = new Date(this.#clock.nowMs()).toISOString().replaceAll(":", "-").slice(0, 23);
    const extension = extname(filename);
    const stem = filename.slice(0, filename.length - extension.length);
    try {
      renameSync(filename, `${stem}-${stamp}${extension}`);
      this.#prune(`${basename(stem)}-`, extension);
    } catch {
      // Another program removed it first: the new file below is all that is needed.
    }
    this.reopen();
  }

  #prune(prefix: string, extension: string): void {
    const { filename, maxBackups, maxDays } = this.#options;
    const folder = dirname(filename);
    const old = readdirSync(folder)
      .filter((name) => name.startsWith(prefix) && name.endsWith(extension))
      .filter((name) => /^\d{4}-\d\d-\d\dT/.test(name.slice(prefix.length)))
      .sort()
      .reverse();
    const oldest = this.#clock.nowMs() - maxDays * DAY_MS;
    for (const [i, name] of old.entries()) {
      const isExtra = maxBackups > 0 && i >= maxBackups;
      const isOld = maxDays > 0 && statSync(join(folder, name)).mtimeMs < oldest;
      if (isExtra || isOld) unlinkSync(join(folder, name));
    }
  }
}
