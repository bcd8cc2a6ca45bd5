/**
 * Record layouts of the raft_entry and ready kernels. Integer literals only: asc and tsc compile it.
 * u32 little-endian words; a u64 is its low word, then its high word. Tables are 4-byte aligned.
 *
 *   MsgAppend frames ──raftMessageDecode──> MESSAGES, ENTRIES ──(raft steps)──> READIES, MESSAGES
 *   READIES, ENTRIES ──readyBatch──> one WriteBatch (log, raft state, snapshot states)
 *   target stores ──readyGroup──> ORDER ──raftMessageEncode──> message bytes, store by store
 */

/*
 * ENTRY, 48 bytes: one eraftpb.Entry.
 *   +0 entry_type · +4 sync_log (0 or 1) · +8 term · +16 index · +24 data pointer · +28 length
 *   +32 context pointer · +36 length · +40 encoded size · +44 encoded pointer
 * Encoded pointer 0: encode the fields; the size is then written by the encoder. Else the entry's
 * bytes lie there, as decode found them, and go out as they came in.
 */
export const ENTRY_BYTES = 48;
export const ENTRY_TYPE = 0;
export const ENTRY_SYNC_LOG = 4;
export const ENTRY_TERM = 8;
export const ENTRY_INDEX = 16;
export const ENTRY_DATA_PTR = 24;
export const ENTRY_DATA_LENGTH = 28;
export const ENTRY_CONTEXT_PTR = 32;
export const ENTRY_CONTEXT_LENGTH = 36;
export const ENTRY_ENCODED_LENGTH = 40;
export const ENTRY_ENCODED_PTR = 44;

/*
 * MESSAGE, 128 bytes: one eraftpb.Message.
 *   +0 msg_type · +4 reject (0 or 1) · u64: +8 to · +16 from · +24 term · +32 log_term · +40 index
 *   +48 commit · +56 reject_hint · +64 request_snapshot · +72 deprecated_priority
 *   +80 commit_term · +88 priority (i64) · +96 context pointer · +100 length
 *   +104 snapshot pointer · +108 length (its bytes are not looked into; SLICE_ABSENT: none)
 *   +112 first ENTRY row · +116 entries · +120 encoded size, written by encode · +124 0
 */
export const MESSAGE_BYTES = 128;
export const MESSAGE_TYPE = 0;
export const MESSAGE_REJECT = 4;
export const MESSAGE_TO = 8;
export const MESSAGE_FROM = 16;
export const MESSAGE_TERM = 24;
export const MESSAGE_LOG_TERM = 32;
export const MESSAGE_INDEX = 40;
export const MESSAGE_COMMIT = 48;
export const MESSAGE_REJECT_HINT = 56;
export const MESSAGE_REQUEST_SNAPSHOT = 64;
export const MESSAGE_DEPRECATED_PRIORITY = 72;
export const MESSAGE_COMMIT_TERM = 80;
export const MESSAGE_PRIORITY = 88;
export const MESSAGE_CONTEXT_PTR = 96;
export const MESSAGE_CONTEXT_LENGTH = 100;
export const MESSAGE_SNAPSHOT_PTR = 104;
export const MESSAGE_SNAPSHOT_LENGTH = 108;
export const MESSAGE_ENTRY_FIRST = 112;
export const MESSAGE_ENTRY_COUNT = 116;
export const MESSAGE_ENCODED_LENGTH = 120;

/*
 * READY, 96 bytes: what one peer persists in this round.
 *   +0 region id · +8 first ENTRY row · +12 entries · u64: +16 cut from · +24 cut to (log indexes
 *   [from, to) are deleted; equal: none) · +32 flags (READY_) · +36 0
 *   u64: +40 term · +48 vote · +56 commit · +64 last index (with READY_RAFT_STATE)
 *   +72 region state pointer · +76 length · +80 apply state pointer · +84 length
 *   +88 snapshot raft state pointer · +92 length (these three with READY_SNAPSHOT)
 * There is no applied index here outside of a snapshot: apply writes it with its data.
 */
export const READY_BYTES = 96;
export const READY_REGION_ID = 0;
export const READY_ENTRY_FIRST = 8;
export const READY_ENTRY_COUNT = 12;
export const READY_CUT_FROM = 16;
export const READY_CUT_TO = 24;
export const READY_FLAGS = 32;
export const READY_TERM = 40;
export const READY_VOTE = 48;
export const READY_COMMIT = 56;
export const READY_LAST_INDEX = 64;
export const READY_REGION_STATE = 72;
export const READY_APPLY_STATE = 80;
export const READY_SNAPSHOT_RAFT_STATE = 88;

export const READY_RAFT_STATE = 1;
export const READY_SNAPSHOT = 2;

/** Longest cut that is written as single deletes; a longer one is one delete-range. */
export const READY_CUT_DELETES_MAX = 64;

/*
 * Keys, behind the prefix byte of CF raft. PERSISTED: do not change. Named in codec/keys.ts.
 *   log entry 01 02 id 01 index · raft state 01 02 id 02 · apply state 01 02 id 03
 *   snapshot raft state 01 02 id 04 · region state 01 03 id 01
 */
export const CF_RAFT_PREFIX = 0x72;
export const RAFT_LOG_KEY_BYTES = 20;
export const RAFT_STATE_KEY_BYTES = 12;
