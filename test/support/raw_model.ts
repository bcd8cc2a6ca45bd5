/** Random raw commands and the naive map that they are compared with; time passes by command. */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import { compareBytes, toHex, utf8, utf8Decode } from "../../src/base/index.js";
import { crc64 } from "../../src/kernel/index.js";
import { API_VERSION, type ApiVersion, type Reply } from "../../src/storage/index.js";
import type { FakeClock } from "./fake_clock.js";
import type { Fixture } from "./store_fixture.js";

export type Command =
  | { readonly type: "put"; readonly keys: number[]; readonly ttl: number; readonly cas: boolean }
  | { readonly type: "delete"; readonly keys: number[]; readonly cas: boolean }
  | { readonly type: "deleteRange"; readonly start: number; readonly end: number }
  | { readonly type: "get"; readonly keys: number[] }
  | { readonly type: "ttl"; readonly key: number }
  | {
      readonly type: "scan";
      readonly start: number;
      readonly end: number;
      readonly limit: number;
      readonly keyOnly: boolean;
      readonly reverse: boolean;
    }
  | { readonly type: "checksum"; readonly start: number; readonly end: number }
  | {
      readonly type: "cas";
      readonly key: number;
      readonly expect: "right" | "wrong" | "none";
      readonly ttl: number;
      readonly remove: boolean;
    }
  | { readonly type: "wait"; readonly seconds: number }
  | { readonly type: "ttlPass" };

const KEY_COUNT = 12;
const keyNumber = fc.nat(KEY_COUNT - 1);
const bound = fc.nat(KEY_COUNT);
const keys = fc.array(keyNumber, { minLength: 1, maxLength: 4 });
const ttl = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 6 }));
const commandOf = (type: string, fields: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<Command>;

/** Any command; fifty of them meet most states of twelve keys. */
export const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: commandOf("put", { keys, ttl, cas: fc.boolean() }) },
  commandOf("delete", { keys, cas: fc.boolean() }),
  commandOf("deleteRange", { start: bound, end: bound }),
  { weight: 2, arbitrary: commandOf("get", { keys }) },
  commandOf("ttl", { key: keyNumber }),
  {
    weight: 4,
    arbitrary: commandOf("scan", {
      start: bound,
      end: bound,
      limit: fc.nat(KEY_COUNT + 2),
      keyOnly: fc.boolean(),
      reverse: fc.boolean(),
    }),
  },
  commandOf("checksum", { start: bound, end: bound }),
  {
    weight: 3,
    arbitrary: commandOf("cas", {
      key: keyNumber,
      expect: fc.constantFrom("right", "wrong", "none"),
      ttl,
      remove: fc.boolean(),
    }),
  },
  commandOf("wait", { seconds: fc.integer({ min: 1, max: 4 }) }),
  commandOf("ttlPass", {}),
);

/** Keys whose lengths vary around the 8-byte groups of V2, with shared prefixes. */
const keyOf = (n: number): Uint8Array => utf8(`r\0\0\0${"k".repeat(n % 9)}${n}`);
/** Sorted, so that a number is a position; one more is the end of all keys. */
const KEYS = Array.from({ length: KEY_COUNT }, (_, n) => keyOf(n)).sort(compareBytes);
const END = utf8("r~");
const at = (n: number): Uint8Array => KEYS[n] ?? END;

interface Entry {
  readonly value: string;
  /** Second at which it is gone; 0 = never. */
  readonly expires: number;
}

/** The naive twin: a map by key number. */
class Model {
  readonly entries = new Map<number, Entry>();

  constructor(private readonly now: () => number) {}

  get(key: number): Entry | undefined {
    const entry = this.entries.get(key);
    return entry !== undefined && entry.expires !== 0 && entry.expires <= this.now()
      ? undefined
      : entry;
  }

  put(key: number, value: string, seconds: number): void {
    this.entries.set(key, { value, expires: seconds === 0 ? 0 : this.now() + seconds });
  }

  range(start: number, end: number): [number, Entry][] {
    const found: [number, Entry][] = [];
    for (let key = start; key < end; key++) {
      const entry = this.get(key);
      if (entry !== undefined) found.push([key, entry]);
    }
    return found;
  }
}

function must<T>(reply: Reply<T>): T {
  assert.ok(reply.ok, `refused: ${reply.ok ? "" : JSON.stringify(reply.error)}`);
  return (reply as { value: T }).value;
}

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : utf8Decode(bytes);

/** One store beside one model. */
export class ModelRun {
  private readonly model: Model;
  private counter = 0;

  constructor(
    private fixture: Fixture,
    private readonly clock: FakeClock,
    private readonly version: ApiVersion,
  ) {
    this.model = new Model(() => Math.floor(clock.nowMs() / 1000));
  }

  /** Goes on with the same data behind another store. */
  on(fixture: Fixture): this {
    this.fixture = fixture;
    return this;
  }

  /** Runs a command on both and compares the answers. */
  async step(command: Command): Promise<void> {
    const { ctx, store } = this.fixture;
    const { raw } = store.storage;
    const ttlOf = (seconds: number): number => (this.version === API_VERSION.V1 ? 0 : seconds);
    switch (command.type) {
      case "put": {
        const seconds = ttlOf(command.ttl);
        const pairs = command.keys.map((key) => {
          const value = this.counter % 5 === 0 ? "" : `v${this.counter}`;
          this.counter++;
          this.model.put(key, value, seconds);
          return { key: at(key), value: utf8(value), ttl: BigInt(seconds) };
        });
        const [single] = pairs;
        must(
          pairs.length === 1 && single !== undefined
            ? await raw.put(ctx, "", single, command.cas)
            : await raw.batchPut(ctx, "", pairs, command.cas),
        );
        return;
      }
      case "delete":
        for (const key of command.keys) this.model.entries.delete(key);
        must(await raw.batchDelete(ctx, "", command.keys.map(at), command.cas));
        return;
      case "deleteRange":
        if (command.start >= command.end) return;
        for (let key = command.start; key < command.end; key++) this.model.entries.delete(key);
        must(await raw.deleteRange(ctx, "", at(command.start), at(command.end)));
        return;
      case "get":
        return this.get(command.keys);
      case "ttl":
        return this.ttl(command.key);
      case "scan":
        return this.scan(command);
      case "checksum":
        return this.checksum(command.start, command.end);
      case "cas":
        return this.cas(command, ttlOf(command.ttl));
      case "wait":
        this.clock.advance(command.seconds * 1000);
        return;
      case "ttlPass":
        await (
          store.storage as unknown as { ttlChecker: { runOnce(): Promise<void> } }
        ).ttlChecker.runOnce();
    }
  }

  private async get(numbers: number[]): Promise<void> {
    const { ctx, store } = this.fixture;
    for (const key of numbers) {
      const got = text(must(await store.storage.raw.get(ctx, "", at(key))));
      assert.is(got, this.model.get(key)?.value, `get ${key}`);
    }
    const pairs = must(await store.storage.raw.batchGet(ctx, "", numbers.map(at)));
    const expected = numbers.flatMap((key) => {
      const entry = this.model.get(key);
      return entry === undefined ? [] : [[toHex(at(key)), entry.value]];
    });
    assert.equal(
      pairs.map(({ key, value }) => [toHex(key), text(value)]),
      expected,
    );
  }

  private async ttl(key: number): Promise<void> {
    const { ctx, store } = this.fixture;
    const reply = await store.storage.raw.getKeyTtl(ctx, "", at(key));
    if (this.version === API_VERSION.V1) {
      assert.is(reply.ok, false);
      return;
    }
    const entry = this.model.get(key);
    const now = Math.floor(this.clock.nowMs() / 1000);
    const left = entry === undefined || entry.expires === 0 ? 0 : entry.expires - now;
    assert.is(must(reply), entry === undefined ? undefined : BigInt(left));
  }

  private async scan(command: Extract<Command, { type: "scan" }>): Promise<void> {
    const { start, end, limit, keyOnly, reverse } = command;
    const { ctx, store } = this.fixture;
    const [from, to] = reverse ? [end, start] : [start, end];
    const pairs = must(
      await store.storage.raw.scan(ctx, "", {
        startKey: at(from),
        endKey: at(to),
        limit,
        keyOnly,
        reverse,
      }),
    );
    const all = this.model.range(start, end);
    if (reverse) all.reverse();
    assert.equal(
      pairs.map(({ key, value }) => [toHex(key), text(value)]),
      all.slice(0, limit).map(([key, { value }]) => [toHex(at(key)), keyOnly ? "" : value]),
      JSON.stringify(command),
    );
  }

  private async checksum(start: number, end: number): Promise<void> {
    const { ctx, store } = this.fixture;
    const range = { startKey: at(start), endKey: at(end) };
    const got = must(await store.storage.raw.checksum(ctx, [range]));
    let checksum = 0n;
    let bytes = 0;
    const all = this.model.range(start, end);
    for (const [key, { value }] of all) {
      checksum ^= crc64(at(key), utf8(value));
      bytes += at(key).length + value.length;
    }
    assert.equal(got, { checksum, totalKvs: BigInt(all.length), totalBytes: BigInt(bytes) });
  }

  private async cas(command: Extract<Command, { type: "cas" }>, seconds: number): Promise<void> {
    const { ctx, store } = this.fixture;
    const before = this.model.get(command.key);
    const expected =
      command.expect === "right"
        ? before?.value
        : command.expect === "wrong"
          ? `not ${before?.value}`
          : undefined;
    const value = `c${this.counter++}`;
    const got = must(
      await store.storage.raw.compareAndSwap(
        ctx,
        "",
        at(command.key),
        expected === undefined ? undefined : utf8(expected),
        utf8(value),
        BigInt(seconds),
        command.remove,
      ),
    );
    const swapped = expected === before?.value;
    assert.is(got.swapped, swapped);
    assert.is(text(got.previous), before?.value);
    if (!swapped) return;
    if (command.remove) this.model.entries.delete(command.key);
    else this.model.put(command.key, value, seconds);
  }
}
