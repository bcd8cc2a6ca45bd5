/** The system's librocksdb through its C API. */

/** Returns whether the library loads. */
export function librocksdbPresent(): boolean {
  return false;
}
