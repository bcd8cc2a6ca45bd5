/**
 * The writing side that all engines share: batches are built in memory and go to the engine's write
 * queue. Not here: the native write behind the queue, and reads. Hot path.
 */
import type { WriteBatch, WriteOptions } from "./types.js";
import { WriteBatchBuilder } from "./write_batch.js";
import type { WriteQueue } from "./write_queue.js";

/** The writing calls of Engine in types.ts. */
export abstract class QueuedEngine {
  protected abstract readonly queue: WriteQueue;

  newWriteBatch(): WriteBatch {
    return new WriteBatchBuilder();
  }

  write(batch: WriteBatch, options: WriteOptions): Promise<void> {
    return this.queue.submit(batch.bytes(), options);
  }

  writeBytes(representation: Uint8Array, options: WriteOptions): Promise<void> {
    return this.queue.submit(representation, options);
  }

  sync(): Promise<void> {
    return this.queue.sync();
  }
}
