/**
 * Received snapshots as files of a directory. Written under a temporary name, synced, renamed, and
 * the directory synced: a file with its name is whole after any crash. All calls that may wait for
 * the disk run on the thread pool.
 */
import {
  close,
  fsync,
  mkdirSync,
  open,
  openSync,
  read,
  readdirSync,
  rename,
  renameSync,
  rmSync,
  statSync,
  unlink,
  write,
} from "node:fs";
import { join } from "node:path";
import { errorMessage, TikvError } from "../../base/index.js";
import type { SnapFileReader, SnapFiles, SnapFileWriter } from "./files.js";

const TEMPORARY = ".tmp";

type Step = (next: (error: Error | null) => void) => void;

/** Runs steps one after the other; the first error ends it. */
function inOrder(steps: readonly Step[], done: (error: Error | null) => void, from = 0): void {
  const step = steps[from];
  if (step === undefined) {
    done(null);
    return;
  }
  step((error) => {
    if (error !== null) done(error);
    else inOrder(steps, done, from + 1);
  });
}

/** Writes all of `bytes` at the end of what was written. */
function writeAll(fd: number, bytes: Uint8Array, done: (error: Error | null) => void): void {
  write(fd, bytes, 0, bytes.length, null, (error, written) => {
    if (error !== null || written === bytes.length) done(error);
    else writeAll(fd, bytes.subarray(written), done);
  });
}

function ignore(): void {}

/** See SnapFiles. Opening makes the directory and removes what a crash left unfinished. */
export class NodeSnapFiles implements SnapFiles {
  private temporaries = 0;

  /** Throws RUTILE:Engine:Io when the directory cannot be made or read. */
  constructor(readonly where: string) {
    try {
      mkdirSync(where, { recursive: true });
      for (const name of readdirSync(where)) {
        if (name.endsWith(TEMPORARY)) rmSync(join(where, name), { force: true });
      }
    } catch (cause) {
      throw new TikvError("RUTILE:Engine:Io", `snapshots in ${where}: ${errorMessage(cause)}`, {
        cause,
      });
    }
  }

  list(): readonly { readonly name: string; readonly sizeBytes: number }[] {
    return readdirSync(this.where).map((name) => {
      return { name, sizeBytes: statSync(join(this.where, name)).size };
    });
  }

  create(name: string): SnapFileWriter {
    return new NodeSnapFileWriter(this.where, name, this.temporary(name));
  }

  open(name: string): SnapFileReader | undefined {
    try {
      return new NodeSnapFileReader(openSync(join(this.where, name), "r"));
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return undefined;
      throw error;
    }
  }

  remove(name: string): void {
    // Out of the way at once, because the same snapshot may come again; then without a hurry.
    const temporary = this.temporary(name);
    try {
      renameSync(join(this.where, name), temporary);
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return;
      throw error;
    }
    unlink(temporary, ignore);
  }

  private temporary(name: string): string {
    return join(this.where, `${name}.${this.temporaries++}${TEMPORARY}`);
  }
}

class NodeSnapFileWriter implements SnapFileWriter {
  private fd: number | undefined;
  private busy = false;
  private state: "open" | "committing" | "discarded" = "open";

  constructor(
    private readonly where: string,
    private readonly name: string,
    private readonly temporary: string,
  ) {}

  append(bytes: Uint8Array, done: (problem: string | undefined) => void): void {
    this.run([this.opened, (next) => writeAll(this.fd as number, bytes, next)], done);
  }

  commit(done: (problem: string | undefined) => void): void {
    this.state = "committing";
    let folder = -1;
    const steps: Step[] = [
      this.opened,
      (next) => fsync(this.fd as number, next),
      (next) => this.closeFile(next),
      (next) => rename(this.temporary, join(this.where, this.name), next),
      (next) =>
        open(this.where, "r", (error, fd) => {
          folder = fd;
          next(error);
        }),
      (next) => fsync(folder, (error) => close(folder, () => next(error))),
    ];
    this.run(steps, (problem) => {
      if (problem !== undefined) this.cleanUp();
      done(problem);
    });
  }

  discard(): void {
    if (this.state !== "open") return;
    this.state = "discarded";
    if (!this.busy) this.cleanUp();
  }

  private readonly opened: Step = (next) => {
    if (this.fd !== undefined) {
      next(null);
      return;
    }
    open(this.temporary, "w", (error, fd) => {
      if (error === null) this.fd = fd;
      next(error);
    });
  };

  private run(steps: readonly Step[], done: (problem: string | undefined) => void): void {
    this.busy = true;
    inOrder(steps, (error) => {
      this.busy = false;
      if (this.state === "discarded") this.cleanUp();
      else done(error === null ? undefined : errorMessage(error));
    });
  }

  private closeFile(next: (error: Error | null) => void): void {
    const fd = this.fd as number;
    this.fd = undefined;
    close(fd, (error) => next(error ?? null));
  }

  private cleanUp(): void {
    if (this.fd !== undefined) this.closeFile(ignore);
    unlink(this.temporary, ignore);
  }
}

class NodeSnapFileReader implements SnapFileReader {
  private buffer = new Uint8Array(0);
  private busy = false;
  private closed = false;

  constructor(private readonly fd: number) {}

  read(offset: number, length: number, done: (result: Uint8Array | string) => void): void {
    if (this.buffer.length < length) this.buffer = new Uint8Array(length);
    this.busy = true;
    this.fill(offset, length, 0, (result) => {
      this.busy = false;
      if (this.closed) close(this.fd, ignore);
      else done(result);
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (!this.busy) close(this.fd, ignore);
  }

  private fill(
    offset: number,
    length: number,
    filled: number,
    done: (result: Uint8Array | string) => void,
  ): void {
    read(this.fd, this.buffer, filled, length - filled, offset + filled, (error, count) => {
      if (error !== null) done(errorMessage(error));
      else if (count === 0 || filled + count === length) {
        done(this.buffer.subarray(0, filled + count));
      } else this.fill(offset, length, filled + count, done);
    });
  }
}
