/** The SIMD build: the same exports; sources branch on ASC_FEATURE_SIMD at compile time. */
export * from "./index";
