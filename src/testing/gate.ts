/**
 * One direction of a proxied TCP connection: takes what one socket sends and gives it to the other
 * when the link lets it through. The end of a connection travels like bytes: over a cut link nobody
 * hears of it.
 */
import type { Socket } from "node:net";
import type { Link } from "./network.js";
import { resetSocket } from "./reset.js";

/** Bytes held for one direction; above, the sender is not read, so it feels back-pressure. */
const HELD_MAX_BYTES = 1024 * 1024;

type Item =
  | { readonly kind: "bytes"; readonly bytes: Buffer; readonly dueMs: number }
  | { readonly kind: "end" | "reset"; readonly dueMs: number };

export class Gate {
  readonly #source: Socket;
  readonly #target: Socket;
  readonly #link: Link;
  readonly #items: Item[] = [];
  readonly #unwatch: () => void;
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Socket, target: Socket, link: Link) {
    this.#source = source;
    this.#target = target;
    this.#link = link;
    this.#unwatch = link.onChange(() => this.#pump());
    source.on("data", (bytes: Buffer) => this.#take({ kind: "bytes", bytes, dueMs: this.#due() }));
    source.on("end", () => this.#take({ kind: "end", dueMs: this.#due() }));
    source.on("error", () => this.#take({ kind: "reset", dueMs: this.#due() }));
    source.on("close", () => this.#take({ kind: "end", dueMs: this.#due() }));
    target.on("drain", () => this.#pump());
    target.on("close", () => this.close());
  }

  /** Forgets what is held and passes nothing on any more. */
  close(): void {
    this.#unwatch();
    clearTimeout(this.#timer);
    this.#items.length = 0;
  }

  #due(): number {
    return performance.now() + this.#link.faults.delayMs;
  }

  #take(item: Item): void {
    if (this.#target.destroyed) return;
    this.#items.push(item);
    if (item.kind === "bytes") this.#heldBytes += item.bytes.length;
    this.#pump();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    const now = performance.now();
    let item = this.#items[0];
    while (item !== undefined && !this.#link.faults.cut && !this.#target.writableNeedDrain) {
      if (item.dueMs > now) {
        this.#timer = setTimeout(() => this.#pump(), item.dueMs - now);
        break;
      }
      this.#items.shift();
      this.#pass(item);
      item = this.#items[0];
    }
    if (this.#heldBytes > HELD_MAX_BYTES) this.#source.pause();
    else if (this.#source.isPaused()) this.#source.resume();
  }

  #pass(item: Item): void {
    if (item.kind === "bytes") {
      this.#heldBytes -= item.bytes.length;
      this.#target.write(item.bytes);
    } else if (item.kind === "end") this.#target.end();
    else resetSocket(this.#target);
  }
}
