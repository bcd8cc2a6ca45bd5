/**
 * Record layouts of the batch_commands kernels. Integer literals only: asc and tsc compile it.
 * All fields are u32 little-endian; an address is an offset into linear memory.
 *
 * One turn of the event loop, from left to right; nothing moves in between:
 *
 *   FRAMES ──decode──> CONTEXTS, COMMANDS, SUBS ──(host checks contexts)──plan──>
 *     GETS (key table) ──(engine multi-get)──collect──> RESPONSES ──encode──> OUT FRAMES
 *     WRITES (rows of writeBatchBuild), COLD (commands that the host handles one by one)
 */

/*
 * FRAME, 32 bytes: one BatchCommandsRequest message.
 *   in   +0 pointer · +4 length · +8 stream (dense index of this turn)
 *   out  +12 status (a BATCH_STATUS) · +16 first command · +20 commands
 */
export const BATCH_FRAME_BYTES = 32;
export const BATCH_FRAME_PTR = 0;
export const BATCH_FRAME_LENGTH = 4;
export const BATCH_FRAME_STREAM = 8;
export const BATCH_FRAME_STATUS = 12;
export const BATCH_FRAME_FIRST = 16;
export const BATCH_FRAME_COUNT = 20;

/** BATCH_STATUS: why a frame was refused; none of its commands is in the table. */
export const BATCH_STATUS_OK = 0;
/** A varint, length or group runs past its end, or a tag is not legal. */
export const BATCH_STATUS_MALFORMED = 1;
/** The numbers of requests and of request ids differ. */
export const BATCH_STATUS_MISMATCH = 2;
/** More requests than BATCH_PARAM_REQUESTS_MAX. */
export const BATCH_STATUS_TOO_MANY = 3;

/*
 * CONTEXT, 96 bytes: one distinct kvrpcpb.Context; commands in a row share it.
 *   +0 pointer · +4 length · then low and high words: +8 region id · +16 conf_ver · +24 version
 *   +32 peer id · +40 store id · +48 term · +56 cluster id · +64 api version · +68 keyspace id
 *   +72 flags (BATCH_CONTEXT_) · filled by the host: +76 verdict (BATCH_VERDICT_)
 *   +80 region start pointer · +84 length · +88 region end pointer · +92 length (0 = +inf)
 */
export const BATCH_CONTEXT_BYTES = 96;
export const BATCH_CONTEXT_PTR = 0;
export const BATCH_CONTEXT_LENGTH = 4;
export const BATCH_CONTEXT_REGION_ID = 8;
export const BATCH_CONTEXT_CONF_VER = 16;
export const BATCH_CONTEXT_VERSION = 24;
export const BATCH_CONTEXT_PEER_ID = 32;
export const BATCH_CONTEXT_STORE_ID = 40;
export const BATCH_CONTEXT_TERM = 48;
export const BATCH_CONTEXT_CLUSTER_ID = 56;
export const BATCH_CONTEXT_API_VERSION = 64;
export const BATCH_CONTEXT_KEYSPACE_ID = 68;
export const BATCH_CONTEXT_FLAGS = 72;
export const BATCH_CONTEXT_VERDICT = 76;
export const BATCH_CONTEXT_START_PTR = 80;
export const BATCH_CONTEXT_START_LENGTH = 84;
export const BATCH_CONTEXT_END_PTR = 88;
export const BATCH_CONTEXT_END_LENGTH = 92;

/** The context asks for something that only the cold path knows (replica read, stale read …). */
export const BATCH_CONTEXT_UNUSUAL = 1;

/** The host handles the commands of this context one by one. */
export const BATCH_VERDICT_COLD = 0;
/** The context matches a region that this store serves. */
export const BATCH_VERDICT_HOT = 1;

/*
 * COMMAND, 64 bytes: one request.
 *   +0 stream · +4 id low · +8 id high · +12 cmd (field number in the oneof, 0 = none or unknown)
 *   +16 body pointer · +20 body length · +24 context index or BATCH_NO_CONTEXT · +28 flags
 *   +32 key pointer · +36 length · +40 value pointer · +44 length · +48 ttl low · +52 high
 *   +56 first sub row · +60 sub rows
 * For RawScan and RawDeleteRange, key and value are start and end; ttl low is a scan's limit.
 */
export const BATCH_COMMAND_BYTES = 64;
export const BATCH_COMMAND_STREAM = 0;
export const BATCH_COMMAND_ID_LOW = 4;
export const BATCH_COMMAND_ID_HIGH = 8;
export const BATCH_COMMAND_CMD = 12;
export const BATCH_COMMAND_BODY_PTR = 16;
export const BATCH_COMMAND_BODY_LENGTH = 20;
export const BATCH_COMMAND_CONTEXT = 24;
export const BATCH_COMMAND_FLAGS = 28;
export const BATCH_COMMAND_KEY_PTR = 32;
export const BATCH_COMMAND_KEY_LENGTH = 36;
export const BATCH_COMMAND_VALUE_PTR = 40;
export const BATCH_COMMAND_VALUE_LENGTH = 44;
export const BATCH_COMMAND_TTL_LOW = 48;
export const BATCH_COMMAND_TTL_HIGH = 52;
export const BATCH_COMMAND_SUB_FIRST = 56;
export const BATCH_COMMAND_SUB_COUNT = 60;

export const BATCH_NO_CONTEXT = 0xffffffff;

export const BATCH_FLAG_FOR_CAS = 1;
/** A column family other than "" and "default". */
export const BATCH_FLAG_OTHER_CF = 2;
/** The ttls field is present. */
export const BATCH_FLAG_TTLS = 4;
export const BATCH_FLAG_KEY_ONLY = 8;
export const BATCH_FLAG_REVERSE = 16;
/** A second context, which protobuf merges into the first: left to the host. */
export const BATCH_FLAG_IRREGULAR = 32;

/*
 * SUB, 16 bytes: one key, pair or range of a batch command.
 *   +0 key (or start) pointer · +4 length · +8 value (or end) pointer · +12 length
 */
export const BATCH_SUB_BYTES = 16;

/* Field numbers in the oneof of BatchCommandsRequest.Request and .Response. */
export const CMD_RAW_GET = 13;
export const CMD_RAW_BATCH_GET = 14;
export const CMD_RAW_PUT = 15;
export const CMD_RAW_BATCH_PUT = 16;
export const CMD_RAW_DELETE = 17;
export const CMD_RAW_BATCH_DELETE = 18;
export const CMD_RAW_SCAN = 19;
export const CMD_RAW_DELETE_RANGE = 20;
export const CMD_RAW_BATCH_SCAN = 21;
export const CMD_EMPTY = 255;

/*
 * RESPONSE, 32 bytes: one response to encode.
 *   +0 stream · +4 id low · +8 id high · +12 cmd · +16 kind (BATCH_KIND_) · +20 pointer
 *   +24 length · +28 size of the command's message (written by encode)
 */
export const BATCH_RESPONSE_BYTES = 32;
export const BATCH_RESPONSE_STREAM = 0;
export const BATCH_RESPONSE_ID_LOW = 4;
export const BATCH_RESPONSE_ID_HIGH = 8;
export const BATCH_RESPONSE_CMD = 12;
export const BATCH_RESPONSE_KIND = 16;
export const BATCH_RESPONSE_PTR = 20;
export const BATCH_RESPONSE_LENGTH = 24;
export const BATCH_RESPONSE_SIZE = 28;

/** The message of the command is the bytes at pointer; length 0 = an empty message. */
export const BATCH_KIND_BYTES = 0;
/** RawGetResponse with the value at pointer. */
export const BATCH_KIND_VALUE = 1;
/** RawGetResponse with not_found. */
export const BATCH_KIND_NOT_FOUND = 2;
/** RawBatchGetResponse; pointer = first get, length = gets. */
export const BATCH_KIND_PAIRS = 3;
/** A Response without a cmd. */
export const BATCH_KIND_NONE = 4;

/*
 * OUT FRAME, 16 bytes: one BatchCommandsResponse message.
 *   +0 stream · +4 pointer · +8 length · +12 responses
 */
export const BATCH_OUT_BYTES = 16;

/*
 * PARAMS, one record for all four calls; each reads what it needs and writes the results.
 * Capacities are rows. GETS: a slice table of engine keys, a slice table of values of the same
 * length, and a u32 for each get: its command.
 */
export const BATCH_PARAM_BYTES = 256;
export const BATCH_PARAM_FRAMES = 0;
export const BATCH_PARAM_FRAME_COUNT = 4;
export const BATCH_PARAM_CONTEXTS = 8;
export const BATCH_PARAM_CONTEXT_CAPACITY = 12;
export const BATCH_PARAM_CONTEXT_COUNT = 16;
export const BATCH_PARAM_COMMANDS = 20;
export const BATCH_PARAM_COMMAND_CAPACITY = 24;
export const BATCH_PARAM_COMMAND_COUNT = 28;
export const BATCH_PARAM_SUBS = 32;
export const BATCH_PARAM_SUB_CAPACITY = 36;
export const BATCH_PARAM_SUB_COUNT = 40;
export const BATCH_PARAM_REQUESTS_MAX = 44;
/* plan */
export const BATCH_PARAM_KEY_TABLE = 48;
export const BATCH_PARAM_GET_COMMANDS = 52;
export const BATCH_PARAM_GET_CAPACITY = 56;
export const BATCH_PARAM_GET_COUNT = 60;
export const BATCH_PARAM_KEYS = 64;
export const BATCH_PARAM_KEYS_END = 68;
export const BATCH_PARAM_PREFIX = 72;
export const BATCH_PARAM_PREFIX_LENGTH = 76;
export const BATCH_PARAM_WRITES = 80;
export const BATCH_PARAM_WRITE_CAPACITY = 84;
export const BATCH_PARAM_WRITE_COUNT = 88;
/** u32 for each command that is answered when the writes are synced. */
export const BATCH_PARAM_WRITE_COMMANDS = 92;
export const BATCH_PARAM_WRITE_COMMAND_COUNT = 96;
/** u32 for each command that the host handles. */
export const BATCH_PARAM_COLD_COMMANDS = 100;
export const BATCH_PARAM_COLD_COUNT = 104;
/** 1 = values carry an 8-byte expiry time (API V1TTL). */
export const BATCH_PARAM_TTL = 108;
/** Seconds since the epoch. */
export const BATCH_PARAM_NOW_LOW = 112;
export const BATCH_PARAM_NOW_HIGH = 116;
export const BATCH_PARAM_KEY_MAX = 120;
/** Largest key + value that the hot path writes, bytes. */
export const BATCH_PARAM_ENTRY_MAX = 124;
/** Bytes of keys and values in the write rows. */
export const BATCH_PARAM_WRITE_BYTES = 128;
/* collect */
export const BATCH_PARAM_VALUE_TABLE = 132;
export const BATCH_PARAM_GET_FROM = 136;
export const BATCH_PARAM_GET_DONE = 140;
export const BATCH_PARAM_RESPONSES = 144;
export const BATCH_PARAM_RESPONSE_CAPACITY = 148;
export const BATCH_PARAM_RESPONSE_COUNT = 152;
/* encode */
export const BATCH_PARAM_STREAM_COUNT = 156;
/** Scratch: u32 × (responses + streams + 1). */
export const BATCH_PARAM_ORDER = 160;
/** Responses that are encoded; 0 before the first call, then where the last call stopped. */
export const BATCH_PARAM_ENCODED = 164;
export const BATCH_PARAM_OUT = 168;
export const BATCH_PARAM_OUT_END = 172;
export const BATCH_PARAM_OUT_FRAMES = 176;
export const BATCH_PARAM_OUT_FRAME_CAPACITY = 180;
/** Responses a message, at most. */
export const BATCH_PARAM_MESSAGE_MAX = 184;
/** A message ends with the response that brings it to this size, bytes. */
export const BATCH_PARAM_MESSAGE_BYTES = 188;
/** Encoded fields that end each message (health feedback, load); length 0 = none. */
export const BATCH_PARAM_TAIL = 192;
export const BATCH_PARAM_TAIL_LENGTH = 196;

/** Deepest nesting of groups in a skipped field. */
export const PROTOBUF_DEPTH_MAX = 100;
