/** Counters of what requests read and write, for heartbeats. */
export interface Flow {
  readonly bytesWritten: number;
  readonly keysWritten: number;
  readonly bytesRead: number;
  readonly keysRead: number;
}

/** What was read and written since the last `take`. */
export class FlowCounter {
  private now = { bytesWritten: 0, keysWritten: 0, bytesRead: 0, keysRead: 0 };

  written(keys: number, bytes: number): void {
    this.now.keysWritten += keys;
    this.now.bytesWritten += bytes;
  }

  read(keys: number, bytes: number): void {
    this.now.keysRead += keys;
    this.now.bytesRead += bytes;
  }

  take(): Flow {
    const taken = this.now;
    this.now = { bytesWritten: 0, keysWritten: 0, bytesRead: 0, keysRead: 0 };
    return taken;
  }
}
