export { ID_ALLOC_STEP, type IdAllocation, IdAllocator } from "./allocator.js";
