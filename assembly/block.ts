/** Slice tables: rows of (u32 pointer, u32 length); see abi.ts. */
import { SLICE_BYTES } from "./abi";

// @ts-ignore: decorator
@inline
/** Address of row `item`. */
export function sliceRow(table: usize, item: i32): usize {
  return table + <usize>item * SLICE_BYTES;
}

// @ts-ignore: decorator
@inline
/** Pointer of a row. */
export function slicePtr(row: usize): usize {
  return <usize>load<u32>(row);
}

// @ts-ignore: decorator
@inline
/** Length of a row. */
export function sliceLength(row: usize): usize {
  return <usize>load<u32>(row, 4);
}

// @ts-ignore: decorator
@inline
/** Fills a row. */
export function setSlice(row: usize, ptr: usize, length: usize): void {
  store<u32>(row, <u32>ptr);
  store<u32>(row, <u32>length, 4);
}
