/** Builds, their exports, the choice between them, and the arena's rules. */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TikvError } from "../../../src/base/index.js";
import {
  Arena,
  chooseBuild,
  HEADER_PTR,
  KERNEL_NAMES,
  keySplitTs,
  linearMemory,
  loadKernels,
  memcomparableEncode,
  PAGE_BYTES,
  readSlices,
  writeSlices,
} from "../../../src/kernel/index.js";

const SMALL = 8 * PAGE_BYTES;
const WASM_FOLDER = new URL("../../../../wasm/", import.meta.url);

const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Module: {
      new (bytes: Uint8Array): object;
      imports(module: object): unknown[];
      exports(module: object): { name: string; kind: string }[];
    };
  };
};

function isUnavailable(error: unknown): boolean {
  return error instanceof TikvError && error.code === "RUTILE:Kernel:Unavailable";
}

for (const file of ["debug.wasm", "release.wasm", "simd.wasm"]) {
  test(`${file} imports nothing and exports what is listed`, () => {
    const module = new WebAssembly.Module(readFileSync(new URL(file, WASM_FOLDER)));
    assert.equal(WebAssembly.Module.imports(module), []);
    const names = WebAssembly.Module.exports(module).map(({ name }) => name);
    assert.equal(names.sort(), [...KERNEL_NAMES, "init", "memory"].sort());
  });
}

for (const build of ["js", "debug", "wasm", "simd"] as const) {
  test(`build ${build}: memory has its final size and the façade counts calls`, () => {
    const kernels = loadKernels({ build, memoryBytes: SMALL });
    const { arena } = kernels;
    assert.is(arena.u8.length, SMALL);
    arena.enter();
    const table = writeSlices(arena, arena.input, [Uint8Array.of(1), new Uint8Array(9)]);
    const outTable = arena.scratch.reserve(16);
    const { start, end } = arena.output;
    assert.is(memcomparableEncode(kernels, table, 2, outTable, start, end, false), 2);
    assert.is(arena.outEnd, start + 27);
    assert.is(readSlices(arena, outTable, 2)[0]?.join(), "1,0,0,0,0,0,0,0,248");
    arena.leave();
    const { js, wasm, simd } = kernels.calls.memcomparableEncode;
    assert.is(js + wasm + simd, 1);
    assert.is(kernels.calls.memcomparableEncode[kernels.impl], 1);
    assert.is(kernels.impl, build === "debug" ? "wasm" : build);
  });
}

test("below its threshold a façade runs the twin, and counts it", () => {
  const kernels = loadKernels({ build: "wasm", memoryBytes: SMALL });
  const { arena } = kernels;
  const table = writeSlices(arena, arena.input, [new Uint8Array(9), new Uint8Array(9)]);
  const out = arena.scratch.reserve(32);
  assert.is(keySplitTs(kernels, table, 1, 1, out, out + 16), 1);
  assert.equal(kernels.calls.keySplitTs, { js: 1, wasm: 0, simd: 0 });
  assert.is(keySplitTs(kernels, table, 2, 1, out, out + 16), 2);
  assert.equal(kernels.calls.keySplitTs, { js: 1, wasm: 1, simd: 0 });
});

test("KERNEL forces a build; a wrong name is refused", () => {
  assert.is(chooseBuild("js"), "js");
  assert.is(chooseBuild("wasm"), "wasm");
  assert.is(chooseBuild("debug"), "debug");
  assert.is(chooseBuild("simd"), "simd");
  assert.is(chooseBuild(""), "simd");
  assert.throws(() => chooseBuild("native"), isUnavailable);
});

test("an oversize or broken memory size is a bug", () => {
  assert.throws(() => loadKernels({ memoryBytes: PAGE_BYTES + 1 }), /whole pages/);
  assert.throws(() => loadKernels({ memoryBytes: PAGE_BYTES }), /./);
  assert.throws(() => loadKernels({ memoryBytes: 2 ** 31 }), /1 GiB/);
});

test("turns do not nest", () => {
  const { arena } = loadKernels({ build: "js", memoryBytes: SMALL });
  arena.enter();
  assert.throws(() => arena.enter(), /one user at a time/);
  arena.leave();
  assert.throws(() => arena.leave(), /leave follows enter/);
});

test("regions are disjoint, aligned, above the header and below the slack", () => {
  const { arena } = loadKernels({ build: "js", memoryBytes: SMALL });
  assert.ok(arena.input.start > HEADER_PTR);
  assert.is(arena.input.end, arena.output.start);
  assert.is(arena.output.end, arena.scratch.start);
  assert.is(arena.scratch.end, SMALL - 64);
  for (const region of [arena.input, arena.output]) assert.is(region.start % 64, 0, "aligned");
});

test("a full region says so and changes nothing", () => {
  const { input } = loadKernels({ build: "js", memoryBytes: SMALL }).arena;
  assert.is(input.reserve(3, 1), input.start);
  assert.is(input.reserve(8), input.start + 8, "aligned to 8");
  const before = input.next;
  assert.is(input.reserve(input.free + 1, 1), 0);
  assert.is(input.next, before);
  assert.is(input.reserve(input.free, 1), before, "exactly full");
  assert.is(input.free, 0);
  input.trim(before);
  assert.is(input.next, before);
  assert.throws(() => input.trim(before + 1), /trim/);
});

test("a debug turn poisons what it used", () => {
  const { arena } = loadKernels({ build: "js", memoryBytes: SMALL, poison: true });
  arena.enter();
  const at = arena.input.reserve(100);
  arena.u8.fill(1, at, at + 100);
  arena.input.trim(at);
  arena.leave();
  assert.ok(arena.u8.subarray(at, at + 100).every((byte) => byte === 0xcc));
  assert.is(arena.u8[at + 100], 0);
});

test("an arena refuses views that do not cover its memory", () => {
  const memory = linearMemory(new ArrayBuffer(SMALL));
  const short = { ...memory, u32: memory.u32.subarray(1) };
  const options = { poison: false, inputShare: 0.25, outputShare: 0.25 };
  assert.throws(() => new Arena(short, options), /covers the memory/);
});

test.run();
