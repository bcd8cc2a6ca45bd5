/** A transaction's own writes: what reads see, what commit checks, how they merge into a scan. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8, utf8Decode } from "../../../../src/base/index.js";
import { mergeOwn, type OwnPair, UnionStore } from "../../../../src/client/txn/union_store.js";

const b = utf8;
const ALL = { start: EMPTY_BYTES, end: EMPTY_BYTES };

function seen(pairs: readonly OwnPair[]): string[] {
  return pairs.map(({ key, value }) => `${utf8Decode(key)}=${value && utf8Decode(value)}`);
}

async function* from(pairs: readonly OwnPair[]): AsyncGenerator<OwnPair, void> {
  for (const pair of pairs) yield pair;
}

test("reads see puts and deletes, and nothing of locks", () => {
  const own = new UnionStore();
  own.put(b("a"), b("1"));
  own.delete(b("b"));
  own.lock(b("c"));
  assert.equal(own.get(b("a"))?.value, b("1"));
  assert.equal(own.get(b("b")), { key: b("b"), value: undefined });
  assert.is(own.get(b("c")), undefined);
  assert.equal(seen(own.range(ALL, false)), ["a=1", "b=undefined"]);
  assert.equal(seen(own.range(ALL, true)), ["b=undefined", "a=1"]);
});

test("the caller may change its arrays", () => {
  const own = new UnionStore();
  const [key, value] = [b("a"), b("1")];
  own.put(key, value);
  key[0] = value[0] = 0;
  assert.equal(seen(own.range(ALL, false)), ["a=1"]);
});

test("what has to be absent at commit", () => {
  const cases: [string, (own: UnionStore) => void, string, boolean][] = [
    ["insert", (own) => own.insert(b("k"), b("v"), false), "put", true],
    ["insert after its lock", (own) => own.insert(b("k"), b("v"), true), "put", false],
    ["put", (own) => own.put(b("k"), b("v")), "put", false],
    [
      "insert, put",
      (own) => {
        own.insert(b("k"), b("v"), false);
        own.put(b("k"), b("w"));
      },
      "put",
      true,
    ],
    [
      "insert, delete",
      (own) => {
        own.insert(b("k"), b("v"), false);
        own.delete(b("k"));
      },
      "delete",
      true,
    ],
    [
      "delete, insert",
      (own) => {
        own.delete(b("k"));
        own.insert(b("k"), b("v"), false);
      },
      "put",
      false,
    ],
    [
      "lock, insert",
      (own) => {
        own.lock(b("k"));
        own.insert(b("k"), b("v"), false);
      },
      "put",
      true,
    ],
  ];
  for (const [name, write, kind, mustBeAbsent] of cases) {
    const own = new UnionStore();
    write(own);
    const [entry] = own.writes();
    assert.equal([entry?.kind, entry?.mustBeAbsent], [kind, mustBeAbsent], name);
  }
});

test("an insert of a key that the transaction has put is refused", () => {
  const own = new UnionStore();
  own.put(b("k"), b("v"));
  assert.is(own.insert(b("k"), b("w"), false), false);
  assert.equal(seen(own.range(ALL, false)), ["k=v"]);
});

test("a lock does not take the place of a write; locks alone change nothing", () => {
  const own = new UnionStore();
  own.lock(b("k"));
  assert.is(own.isReadOnly, true);
  own.put(b("k"), b("v"));
  own.lock(b("k"));
  assert.is(own.isReadOnly, false);
  assert.is(own.writes()[0]?.kind, "put");
});

test("bytes are keys once and the newest values", () => {
  const own = new UnionStore();
  own.put(b("key"), b("12345"));
  own.put(b("key"), b("1"));
  assert.is(own.sizeBytes, 4);
  own.delete(b("key"));
  assert.is(own.sizeBytes, 3);
  own.put(b("l"), b("22"));
  assert.is(own.sizeBytes, 6);
});

const keyArb = fc
  .constantFrom("", "a", "aa", "ab", "b", "bb", "c", "ca", "d")
  .map((k) => b(`${k}`));

test("ranges and merges are those of a sorted map", async () => {
  const write = fc.record({ key: keyArb, value: fc.option(fc.nat(9)) });
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.record({ key: keyArb, value: fc.nat(9) }), {
        selector: ({ key }) => utf8Decode(key),
      }),
      fc.array(write, { maxLength: 12 }),
      fc.array(write, { maxLength: 4 }),
      keyArb,
      keyArb,
      fc.boolean(),
      async (stored, before, after, start, end, reverse) => {
        const own = new UnionStore();
        const model = new Map(stored.map(({ key, value }) => [utf8Decode(key), `${value}`]));
        const apply = (writes: readonly { key: Uint8Array; value: number | null }[]): void => {
          for (const { key, value } of writes) {
            if (value === null) {
              own.delete(key);
              model.delete(utf8Decode(key));
            } else {
              own.put(key, b(`${value}`));
              model.set(utf8Decode(key), `${value}`);
            }
          }
        };
        apply(before);
        own.range(ALL, false);
        apply(after);
        const inside = (key: string): boolean =>
          key >= utf8Decode(start) && (end.length === 0 || key < utf8Decode(end));
        const sorted = (keys: Iterable<string>): string[] => {
          const chosen = [...keys].filter(inside).sort();
          return reverse ? chosen.reverse() : chosen;
        };
        const below = new Map(stored.map(({ key, value }) => [utf8Decode(key), b(`${value}`)]));
        const pairs = sorted(below.keys()).map((key) => ({
          key: b(key),
          value: below.get(key) as Uint8Array,
        }));
        const merged: OwnPair[] = [];
        const range = own.range({ start, end }, reverse);
        for await (const pair of mergeOwn(from(pairs), range, reverse)) merged.push(pair);
        assert.equal(
          seen(merged),
          sorted(model.keys()).map((key) => `${key}=${model.get(key)}`),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test("a merge that is left early ends the scan below", async () => {
  let ended = false;
  async function* stored(): AsyncGenerator<OwnPair, void> {
    try {
      for (;;) yield { key: b("a"), value: b("1") };
    } finally {
      ended = true;
    }
  }
  for await (const _ of mergeOwn(stored(), [], false)) break;
  assert.is(ended, true);
});

test.run();
