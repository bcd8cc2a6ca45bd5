/**
 * Finds, compiles and instantiates the kernels. The only file of this folder that touches the
 * process: the environment variable KERNEL, the .wasm files, the WebAssembly API.
 * One compiled module per build and process; one instance and memory per thread.
 */
import { readFileSync } from "node:fs";
import { assert, TikvError } from "../base/index.js";
import {
  ABI_VERSION,
  HEADER_ABI_VERSION,
  HEADER_MAGIC,
  HEADER_PTR,
  HEADER_STATIC_END,
  MAGIC,
} from "./abi.js";
import { Arena, type LinearMemory, linearMemory, PAGE_BYTES } from "./arena.js";
import {
  KERNEL_NAMES,
  type KernelFunctions,
  type KernelName,
  newKernelCalls,
} from "./functions.js";
import { bindTwins } from "./js/index.js";
import type { KernelBuild, Kernels } from "./kernels.js";

export const MEMORY_BYTES_DEFAULT = 64 << 20;
const MEMORY_BYTES_MAX = 1 << 30;
const BUILDS: readonly KernelBuild[] = ["js", "debug", "wasm", "simd"];
const FILES = { debug: "debug.wasm", wasm: "release.wasm", simd: "simd.wasm" } as const;

/** A compiled module; can be posted to workers. */
export interface KernelModule {
  readonly __brand: "WebAssembly.Module";
}

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** The part of the WebAssembly API in use; the ES library of tsc does not have it. */
interface WebAssemblyApi {
  validate(bytes: Uint8Array): boolean;
  readonly Module: {
    new (bytes: Uint8Array): KernelModule;
    imports(module: KernelModule): readonly unknown[];
  };
  readonly Instance: new (
    module: KernelModule,
  ) => { readonly exports: KernelFunctions & { readonly memory: WasmMemory; init(): void } };
}

const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

/** `(func (result v128) i32.const 0 i8x16.splat)`: valid only where SIMD is. */
const SIMD_PROBE = Uint8Array.of(
  0x00,
  0x61,
  0x73,
  0x6d,
  0x01,
  0x00,
  0x00,
  0x00,
  0x01,
  0x05,
  0x01,
  0x60,
  0x00,
  0x01,
  0x7b,
  0x03,
  0x02,
  0x01,
  0x00,
  0x0a,
  0x08,
  0x01,
  0x06,
  0x00,
  0x41,
  0x00,
  0xfd,
  0x0f,
  0x0b,
);

const compiled = new Map<KernelBuild, KernelModule>();

/** Returns whether this machine and runtime execute WebAssembly SIMD. */
export function simdSupported(): boolean {
  return WebAssembly.validate(SIMD_PROBE);
}

/** Returns the build that KERNEL asks for, or the best one. Throws RUTILE:Kernel:Unavailable. */
export function chooseBuild(wanted: string | undefined = process.env.KERNEL): KernelBuild {
  if (wanted === undefined || wanted === "") return simdSupported() ? "simd" : "wasm";
  const build = BUILDS.find((name) => name === wanted);
  if (build === undefined) {
    throw new TikvError(
      "RUTILE:Kernel:Unavailable",
      `KERNEL=${wanted} is not one of ${BUILDS.join(", ")}`,
    );
  }
  if (build === "simd" && !simdSupported()) {
    throw new TikvError("RUTILE:Kernel:Unavailable", "KERNEL=simd, but SIMD is not supported here");
  }
  return build;
}

/** Returns the module of a build, compiled on first use. Throws RUTILE:Kernel:Unavailable. */
export function kernelModule(build: Exclude<KernelBuild, "js">): KernelModule {
  const known = compiled.get(build);
  if (known !== undefined) return known;
  const url = new URL(`../../../wasm/${FILES[build]}`, import.meta.url);
  let module: KernelModule;
  try {
    module = new WebAssembly.Module(readFileSync(url));
  } catch (error) {
    throw new TikvError("RUTILE:Kernel:Unavailable", `cannot load ${FILES[build]}`, {
      cause: error,
    });
  }
  assert(WebAssembly.Module.imports(module).length === 0, "kernels import nothing");
  compiled.set(build, module);
  return module;
}

export interface KernelOptions {
  /** Default: `chooseBuild()`. */
  readonly build?: KernelBuild;
  /** Size of linear memory, final; whole 64 KiB pages up to 1 GiB. Default 64 MiB. */
  readonly memoryBytes?: number;
  /** Default: on for the debug build. */
  readonly poison?: boolean;
  /** Module compiled by another thread. */
  readonly module?: KernelModule;
  readonly inputShare?: number;
  readonly outputShare?: number;
}

/** Returns kernels with their own memory; call once per thread and keep the result. */
export function loadKernels(options: KernelOptions = {}): Kernels {
  const build = options.build ?? chooseBuild();
  const bytes = options.memoryBytes ?? MEMORY_BYTES_DEFAULT;
  assert(bytes % PAGE_BYTES === 0 && bytes <= MEMORY_BYTES_MAX, "memory is whole pages <= 1 GiB");
  const { memory, wasm } =
    build === "js"
      ? { memory: linearMemory(new ArrayBuffer(bytes)), wasm: undefined }
      : instantiate(options.module ?? kernelModule(build), bytes);
  const arena = new Arena(memory, {
    poison: options.poison ?? build === "debug",
    inputShare: options.inputShare ?? 0.25,
    outputShare: options.outputShare ?? 0.375,
  });
  const impl = build === "debug" ? "wasm" : build;
  return { build, impl, arena, js: bindTwins(arena), wasm, calls: newKernelCalls() };
}

function instantiate(
  module: KernelModule,
  bytes: number,
): { memory: LinearMemory; wasm: KernelFunctions } {
  const { exports } = new WebAssembly.Instance(module);
  const grown = bytes - exports.memory.buffer.byteLength;
  assert(grown >= 0, "memoryBytes covers the initial memory");
  // Growing detaches the buffer, so it happens here, before any view is taken, and never again.
  exports.memory.grow(grown / PAGE_BYTES);
  const memory = linearMemory(exports.memory.buffer);
  assert(memory.u8.length === bytes, "the view has the size asked for");
  exports.init();
  assert(memory.u32[HEADER_MAGIC >> 2] === MAGIC, "the kernels wrote their header");
  assert(memory.u32[HEADER_ABI_VERSION >> 2] === ABI_VERSION, "kernels and host have one ABI");
  assert((memory.u32[HEADER_STATIC_END >> 2] as number) <= HEADER_PTR, "statics end below header");
  return { memory, wasm: functionsOf(exports) };
}

/**
 * Returns the exports in an ordinary object. The exports object itself is in dictionary mode: through
 * it, keySplitTs of one item took 114 ns in the bench, 60 ns like this (Node 20).
 */
function functionsOf(exports: KernelFunctions): KernelFunctions {
  const functions: Partial<Record<KernelName, unknown>> = {};
  for (const name of KERNEL_NAMES) {
    assert(typeof exports[name] === "function", `the build exports ${name}`);
    functions[name] = exports[name];
  }
  return functions as KernelFunctions;
}
