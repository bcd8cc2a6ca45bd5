/** The hand-written encoder of wire fields against the static code. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytesSize, eraftpb, fieldSize, raft_serverpb, WireWriter } from "../../../src/pb/index.js";
import { encodeRaftApplyState } from "../../../src/raftstore/local_state.js";

const U53 = fc.oneof(
  fc.nat(300),
  fc.nat(Number.MAX_SAFE_INTEGER),
  fc.constantFrom(2 ** 21 - 1, 2 ** 21, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1),
);

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

test("numbers and bytes are what the static code writes", () => {
  fc.assert(
    fc.property(U53, fc.uint8Array({ maxLength: 200 }), (index, data) => {
      const out = new WireWriter(new Uint8Array(fieldSize(index) + bytesSize(data.length)));
      out.field(0x18, index);
      out.bytesField(0x22, data);
      const bytes = out.finish();
      const entry = eraftpb.Entry.decode(bytes);
      assert.is(String(entry.index), String(index));
      assert.is(hex(entry.data), hex(data));
      assert.is(hex(eraftpb.Entry.encode(entry).finish()), hex(bytes));
    }),
    { numRuns: 500 },
  );
});

test("an apply state is what the static code writes", () => {
  fc.assert(
    fc.property(U53, U53, U53, U53, U53, (applied, commit, commitTerm, truncated, term) => {
      const bytes = encodeRaftApplyState({
        appliedIndex: applied,
        commitIndex: commit,
        commitTerm,
        truncatedIndex: truncated,
        truncatedTerm: term,
      });
      const state = raft_serverpb.RaftApplyState.decode(bytes);
      assert.is(hex(raft_serverpb.RaftApplyState.encode(state).finish()), hex(bytes));
      assert.equal(
        [
          state.appliedIndex,
          state.commitIndex,
          state.commitTerm,
          state.truncatedState?.index ?? 0,
          state.truncatedState?.term ?? 0,
        ].map(String),
        [applied, commit, commitTerm, truncated, term].map(String),
      );
    }),
    { numRuns: 300 },
  );
});

test("an array that is too long or a number beyond 2^53 is noticed", () => {
  const out = new WireWriter(new Uint8Array(4));
  out.field(0x08, 1);
  assert.throws(() => out.finish(), /size that was computed/);
  assert.throws(() => fieldSize(2 ** 53), /below 2\^53/);
  assert.throws(() => fieldSize(-1), /below 2\^53/);
});

test.run();
