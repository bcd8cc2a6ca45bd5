/** Cases: multiGetArena. */
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../src/base/index.js";
import { type ArenaGet, type CfName, cfKey, type Engine } from "../../src/engine/index.js";
import { apply, type EngineCase } from "./engine_case.js";

const NOT_FOUND = 0xffff_ffff;
const KEY_TABLE = 1024;
const VALUE_TABLE = 32 * 1024;
const KEYS_AT = 64 * 1024;
const SCRATCH = 256 * 1024;
const OUT = 1024 * 1024;

/** One linear memory with the keys of a request in it; dirtied first. */
class Arena {
  readonly memory = new Uint8Array(4 * OUT);
  private readonly view = new DataView(this.memory.buffer);
  private readonly count: number;

  constructor(keys: readonly (readonly [CfName, string])[]) {
    this.memory.fill(0xcc);
    this.count = keys.length;
    let at = KEYS_AT;
    keys.forEach(([cf, key], i) => {
      const bytes = cfKey(cf, utf8(key));
      this.memory.set(bytes, at);
      this.view.setUint32(KEY_TABLE + i * 8, at, true);
      this.view.setUint32(KEY_TABLE + i * 8 + 4, bytes.length, true);
      at += bytes.length;
    });
  }

  request(from: number, outBytes: number): ArenaGet {
    return {
      memory: this.memory,
      count: this.count - from,
      keyTable: KEY_TABLE + from * 8,
      valueTable: VALUE_TABLE + from * 8,
      out: OUT,
      outEnd: OUT + outBytes,
      scratch: SCRATCH,
      scratchEnd: OUT,
    };
  }

  value(i: number): string | undefined {
    const at = this.view.getUint32(VALUE_TABLE + i * 8, true);
    const length = this.view.getUint32(VALUE_TABLE + i * 8 + 4, true);
    return length === NOT_FOUND ? undefined : utf8Decode(this.memory.slice(at, at + length));
  }
}

async function fill(engine: Engine, count: number): Promise<void> {
  const batch = engine.newWriteBatch();
  for (let i = 0; i < count; i++) {
    batch.put("default", utf8(`k${i}`), utf8(`${i}:`.repeat(i % 40)));
  }
  await engine.write(batch, { sync: false });
}

export const ARENA_CASES: readonly EngineCase[] = [
  {
    title: "multiGetArena fills the value table: found, empty, missing, other CF, duplicate",
    async run({ engine }) {
      await apply(engine, [
        ["put", "default", "a", "one"],
        ["put", "default", "b", ""],
        ["put", "lock", "a", "locked"],
      ]);
      const arena = new Arena([
        ["default", "b"],
        ["default", "missing"],
        ["lock", "a"],
        ["default", "a"],
        ["lock", "b"],
        ["default", "a"],
      ]);
      const request = arena.request(0, 1000);
      const result = engine.multiGetArena(request);
      assert.is(result.done, 6);
      assert.is(result.outUsedEnd, OUT + "lockedoneone".length);
      const values = [0, 1, 2, 3, 4, 5].map((i) => arena.value(i));
      assert.equal(values, ["", undefined, "locked", "one", undefined, "one"]);
      assert.is(arena.memory[result.outUsedEnd], 0xcc, "nothing behind the used end");
      assert.equal(engine.multiGetArena({ ...request, count: 0 }), { done: 0, outUsedEnd: OUT });
    },
  },
  {
    title: "multiGetArena with a full out area does what fits and resumes",
    async run({ engine }) {
      await fill(engine, 200);
      const keys = Array.from({ length: 300 }, (_, i) => ["default", `k${299 - i}`] as const);
      const arena = new Arena(keys);
      let from = 0;
      let calls = 0;
      while (from < keys.length) {
        const { done, outUsedEnd } = engine.multiGetArena(arena.request(from, 500));
        assert.ok(done > 0, "a value of at most 160 bytes fits into 500");
        assert.ok(outUsedEnd <= OUT + 500);
        assert.is(arena.memory[OUT + 500], 0xcc, "nothing behind the out area");
        for (let i = from; i < from + done; i++) {
          const number = 299 - i;
          const want = number < 200 ? `${number}:`.repeat(number % 40) : undefined;
          assert.is(arena.value(i), want, `k${number}`);
        }
        from += done;
        calls++;
      }
      assert.ok(calls > 10, `${calls} calls`);
    },
  },
  {
    title: "multiGetArena answers done 0 when the first value does not fit, and exact fits",
    async run({ engine }) {
      await apply(engine, [
        ["put", "default", "a", "12345"],
        ["put", "default", "b", ""],
      ]);
      const arena = new Arena([
        ["default", "a"],
        ["default", "b"],
      ]);
      assert.equal(engine.multiGetArena(arena.request(0, 4)), { done: 0, outUsedEnd: OUT });
      assert.equal(engine.multiGetArena(arena.request(0, 5)), { done: 2, outUsedEnd: OUT + 5 });
      assert.is(arena.value(0), "12345");
      assert.is(arena.value(1), "");
    },
  },
  {
    title: "multiGetArena of 2,500 keys with values from 0 bytes to 64 KiB",
    async run({ engine }) {
      const batch = engine.newWriteBatch();
      const sizes = [0, 1, 7, 100, 4095, 4096, 65_536];
      const text = (i: number): string => String.fromCharCode(65 + i).repeat(sizes[i] as number);
      sizes.forEach((_, i) => {
        batch.put("write", utf8(`s${i}`), utf8(text(i)));
      });
      await engine.write(batch, { sync: false });
      const keys = Array.from({ length: 2500 }, (_, i) => ["write", `s${i % 8}`] as const);
      const arena = new Arena(keys);
      let from = 0;
      while (from < keys.length) {
        const { done } = engine.multiGetArena(arena.request(from, 2 * OUT));
        assert.ok(done > 0, `stuck at ${from}`);
        for (let i = from; i < from + done; i++) {
          const want = i % 8 === 7 ? undefined : text(i % 8);
          if (arena.value(i) !== want) assert.unreachable(`item ${i}`);
        }
        from += done;
      }
    },
  },
  {
    title: "multiGetArena of a snapshot sees its moment",
    async run({ engine }) {
      await apply(engine, [
        ["put", "lock", "a", "old"],
        ["put", "lock", "b", "gone"],
      ]);
      const snapshot = engine.snapshot();
      const seen = (): (string | undefined)[] => {
        const arena = new Arena([
          ["lock", "a"],
          ["lock", "b"],
          ["lock", "c"],
        ]);
        assert.is(snapshot.multiGetArena(arena.request(0, 100)).done, 3);
        return [0, 1, 2].map((i) => arena.value(i));
      };
      assert.equal(seen(), ["old", "gone", undefined], "before a write");
      await apply(engine, [
        ["put", "lock", "a", "new"],
        ["delete", "lock", "b"],
        ["put", "lock", "c", "late"],
      ]);
      assert.equal(seen(), ["old", "gone", undefined], "after a write");
      snapshot.close();
    },
  },
];
