/**
 * A B+tree of byte strings with O(1) versions: nodes carry the edit that made them, an edit changes
 * its own nodes in place and copies others on the way down. `freeze` ends the edit, so everything
 * reachable from a root taken then never changes again.
 *
 * Not here: column families, batches, ownership of arrays (keys and values are kept as given).
 */
import { assert, compareBytes } from "../base/index.js";

/** Entries of a leaf, children of a branch. */
const NODE_ITEMS_MAX = 64;
/** A node below this is joined with a neighbour when both fit into one. */
const NODE_ITEMS_MIN = 16;

/** Identity of one edit. */
interface Edit {
  readonly edit: true;
}

interface Leaf {
  readonly leaf: true;
  readonly owner: Edit;
  /** Sorted, no duplicates. */
  readonly keys: Uint8Array[];
  readonly values: Uint8Array[];
}

interface Branch {
  readonly leaf: false;
  readonly owner: Edit;
  /** Invariant: keys[i] <= every key below children[i], and > every key below children[i - 1]. */
  readonly keys: Uint8Array[];
  readonly children: TreeNode[];
}

export type TreeNode = Leaf | Branch;

/** Returns the index of the first key >= target. */
function lowerBound(keys: readonly Uint8Array[], target: Uint8Array): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(keys[middle] as Uint8Array, target) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Returns the child of a branch below which `target` lies or would lie. */
function childIndex(branch: Branch, target: Uint8Array): number {
  let low = 1;
  let high = branch.keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(branch.keys[middle] as Uint8Array, target) <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Returns the value of `key` in the version `root`, not a copy. */
export function treeGet(root: TreeNode, key: Uint8Array): Uint8Array | undefined {
  let node = root;
  while (!node.leaf) node = node.children[childIndex(node, key)] as TreeNode;
  const index = lowerBound(node.keys, key);
  const found = node.keys[index];
  return found !== undefined && compareBytes(found, key) === 0 ? node.values[index] : undefined;
}

function itemsOf(node: TreeNode): number {
  return node.keys.length;
}

/** The newest version and the edits on it. */
export class MemoryTree {
  private edit: Edit = { edit: true };
  private top: TreeNode;
  /** Number of keys. */
  count = 0;
  /** Sum of the lengths of keys and values. */
  sizeBytes = 0;

  constructor() {
    this.top = { leaf: true, owner: this.edit, keys: [], values: [] };
  }

  /** The newest version; changes with the next edit. */
  get root(): TreeNode {
    return this.top;
  }

  /** Returns the newest version, which no later edit changes. O(1). */
  freeze(): TreeNode {
    this.edit = { edit: true };
    return this.top;
  }

  /** Sets `key`; both arrays are kept. */
  set(key: Uint8Array, value: Uint8Array): void {
    const top = this.own(this.top);
    this.top = top;
    const sibling = this.insert(top, key, value);
    if (sibling === undefined) return;
    this.top = {
      leaf: false,
      owner: this.edit,
      keys: [firstKey(top), firstKey(sibling)],
      children: [top, sibling],
    };
  }

  /** Removes `key` if it exists. */
  delete(key: Uint8Array): void {
    const old = treeGet(this.top, key);
    if (old === undefined) return;
    const top = this.own(this.top);
    this.top = top;
    this.remove(top, key);
    this.count--;
    this.sizeBytes -= key.length + old.length;
    while (!this.top.leaf && this.top.children.length === 1) {
      this.top = this.top.children[0] as TreeNode;
    }
  }

  /** Removes all keys of `[start, end)`. O(log n) for each. */
  deleteRange(start: Uint8Array, end: Uint8Array): void {
    const doomed: Uint8Array[] = [];
    const cursor = new TreeCursor(this.top);
    for (let on = cursor.seek(start); on; on = cursor.next()) {
      if (compareBytes(cursor.key, end) >= 0) break;
      doomed.push(cursor.key);
    }
    for (const key of doomed) this.delete(key);
  }

  private own(node: TreeNode): TreeNode {
    if (node.owner === this.edit) return node;
    return node.leaf
      ? { leaf: true, owner: this.edit, keys: node.keys.slice(), values: node.values.slice() }
      : { leaf: false, owner: this.edit, keys: node.keys.slice(), children: node.children.slice() };
  }

  /** Sets below an owned node; returns the new right sibling when it was split. */
  private insert(node: TreeNode, key: Uint8Array, value: Uint8Array): TreeNode | undefined {
    if (node.leaf) {
      const index = lowerBound(node.keys, key);
      const found = node.keys[index];
      if (found !== undefined && compareBytes(found, key) === 0) {
        this.sizeBytes += value.length - (node.values[index] as Uint8Array).length;
        node.values[index] = value;
        return undefined;
      }
      node.keys.splice(index, 0, key);
      node.values.splice(index, 0, value);
      this.count++;
      this.sizeBytes += key.length + value.length;
    } else {
      const index = childIndex(node, key);
      const child = this.own(node.children[index] as TreeNode);
      node.children[index] = child;
      const sibling = this.insert(child, key, value);
      node.keys[index] = firstKey(child);
      if (sibling !== undefined) {
        node.keys.splice(index + 1, 0, firstKey(sibling));
        node.children.splice(index + 1, 0, sibling);
      }
    }
    return itemsOf(node) > NODE_ITEMS_MAX ? this.split(node) : undefined;
  }

  /** Moves the upper half of an owned node into a new sibling. */
  private split(node: TreeNode): TreeNode {
    const from = itemsOf(node) >>> 1;
    const keys = node.keys.splice(from);
    return node.leaf
      ? { leaf: true, owner: this.edit, keys, values: node.values.splice(from) }
      : { leaf: false, owner: this.edit, keys, children: node.children.splice(from) };
  }

  /** Removes an existing key below an owned node. */
  private remove(node: TreeNode, key: Uint8Array): void {
    if (node.leaf) {
      const index = lowerBound(node.keys, key);
      node.keys.splice(index, 1);
      node.values.splice(index, 1);
      return;
    }
    const index = childIndex(node, key);
    const child = this.own(node.children[index] as TreeNode);
    node.children[index] = child;
    this.remove(child, key);
    if (itemsOf(child) === 0) {
      node.keys.splice(index, 1);
      node.children.splice(index, 1);
    } else if (itemsOf(child) < NODE_ITEMS_MIN) {
      this.join(node, index > 0 ? index - 1 : index);
    }
  }

  /** Joins children `left` and `left + 1` of an owned branch when one node holds both. */
  private join(branch: Branch, left: number): void {
    const a = branch.children[left] as TreeNode;
    const b = branch.children[left + 1];
    if (b === undefined || itemsOf(a) + itemsOf(b) > NODE_ITEMS_MAX) return;
    assert(a.leaf === b.leaf, "siblings are of one height");
    const target = this.own(a);
    target.keys.push(...b.keys);
    if (target.leaf && b.leaf) target.values.push(...b.values);
    else if (!target.leaf && !b.leaf) target.children.push(...b.children);
    branch.children[left] = target;
    branch.keys.splice(left + 1, 1);
    branch.children.splice(left + 1, 1);
  }
}

/** A lower bound of the keys below `node`: exact in leaves, as the parent last saw it in branches. */
function firstKey(node: TreeNode): Uint8Array {
  return node.keys[0] as Uint8Array;
}

/** A position in a frozen version. `key` and `value` are the tree's own arrays. */
export class TreeCursor {
  private readonly root: TreeNode;
  private readonly branches: Branch[] = [];
  private readonly indexes: number[] = [];
  private leafNode: Leaf | undefined;
  private leafIndex = 0;

  constructor(root: TreeNode) {
    this.root = root;
  }

  get valid(): boolean {
    return this.leafNode !== undefined;
  }

  get key(): Uint8Array {
    return this.leafNode?.keys[this.leafIndex] as Uint8Array;
  }

  get value(): Uint8Array {
    return this.leafNode?.values[this.leafIndex] as Uint8Array;
  }

  /** Moves to the first key >= target. */
  seek(target: Uint8Array): boolean {
    const leaf = this.descend(target);
    this.leafIndex = lowerBound(leaf.keys, target);
    return this.leafIndex < leaf.keys.length || this.step(1);
  }

  /** Moves to the last key < target. */
  seekBefore(target: Uint8Array): boolean {
    const leaf = this.descend(target);
    this.leafIndex = lowerBound(leaf.keys, target);
    return this.prev();
  }

  next(): boolean {
    if (this.leafNode === undefined) return false;
    this.leafIndex++;
    return this.leafIndex < this.leafNode.keys.length || this.step(1);
  }

  prev(): boolean {
    if (this.leafNode === undefined) return false;
    this.leafIndex--;
    return this.leafIndex >= 0 || this.step(-1);
  }

  private descend(target: Uint8Array): Leaf {
    this.branches.length = 0;
    this.indexes.length = 0;
    let node = this.root;
    while (!node.leaf) {
      const index = childIndex(node, target);
      this.branches.push(node);
      this.indexes.push(index);
      node = node.children[index] as TreeNode;
    }
    this.leafNode = node;
    return node;
  }

  /** Moves to the near end of the next leaf in `direction`; becomes invalid when there is none. */
  private step(direction: 1 | -1): boolean {
    this.leafNode = undefined;
    let level = this.branches.length - 1;
    for (; level >= 0; level--) {
      const index = (this.indexes[level] as number) + direction;
      if (index >= 0 && index < (this.branches[level] as Branch).children.length) {
        this.indexes[level] = index;
        break;
      }
    }
    if (level < 0) return false;
    let node = (this.branches[level] as Branch).children[this.indexes[level] as number] as TreeNode;
    this.branches.length = level + 1;
    this.indexes.length = level + 1;
    while (!node.leaf) {
      const index: number = direction === 1 ? 0 : node.children.length - 1;
      this.branches.push(node);
      this.indexes.push(index);
      node = node.children[index] as TreeNode;
    }
    this.leafNode = node;
    this.leafIndex = direction === 1 ? 0 : node.keys.length - 1;
    return true;
  }
}
