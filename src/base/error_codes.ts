/**
 * Error codes: TiKV's and PD's strings where they have one, RUTILE: where they do not.
 * Each has a cause and a remedy, which the command line prints and the README lists.
 */
export interface ErrorCodeInfo {
  readonly cause: string;
  readonly remedy: string;
}

export const ERROR_CODES = {
  "KV:Engine:Engine": {
    cause: "The storage engine failed.",
    remedy: "Read the message; check the disk, then restart the store.",
  },
  "KV:Engine:Codec": {
    cause: "Bytes in the engine do not have the expected format.",
    remedy: "The data is damaged or from another version; restore the store from its peers.",
  },
  "KV:Codec:Io": {
    cause: "Encoded bytes end too early.",
    remedy: "The data is damaged or from another version; restore the store from its peers.",
  },
  "KV:Codec:BadPadding": {
    cause: "A key is not in the memcomparable format.",
    remedy: "The data is damaged or from another version; restore the store from its peers.",
  },
  "KV:Codec:KeyLength": {
    cause: "A key is too short for its format.",
    remedy: "The data is damaged or from another version; restore the store from its peers.",
  },
  "KV:Codec:ValueLength": {
    cause: "A value is too short for the format of storage.api-version and enable-ttl.",
    remedy: "Start with the settings that the data was written with.",
  },
  "KV:Codec:ValueMeta": {
    cause: "A value has flags that this version does not know.",
    remedy: "Start with the settings and the version that the data was written with.",
  },
  "RUTILE:Engine:Locked": {
    cause: "Another process has the data directory open.",
    remedy: "Stop that process, or choose another --data-dir.",
  },
  "RUTILE:Engine:Corruption": {
    cause: "A file in the data directory is damaged.",
    remedy: "Restore the directory from a backup, or remove it and let the store rejoin.",
  },
  "RUTILE:Engine:Format": {
    cause: "The data directory was written in a format that this version does not know.",
    remedy: "Use the version that wrote it.",
  },
  "RUTILE:Engine:Unavailable": {
    cause: "The storage library cannot be loaded.",
    remedy: "Install it, or choose another engine.binding.",
  },
  "RUTILE:Engine:Io": {
    cause: "The operating system refused a file operation.",
    remedy: "Check the path, its owner, its permissions and the free space.",
  },
  "RUTILE:Engine:Deadline": {
    cause: "The worker of the npm RocksDB binding did not answer in time: a stuck disk, or a bug.",
    remedy: "Check the disk and the machine's load, then restart the process.",
  },
  "RUTILE:Engine:Busy": {
    cause: "More bytes of writes wait for the disk than may.",
    remedy: "Send less at once; check the disk's write latency.",
  },
  "RUTILE:Engine:Closed": {
    cause: "The engine is closed, or cannot close yet.",
    remedy: "Release open snapshots and iterators before closing.",
  },
  "RUTILE:Net:AddressInUse": {
    cause: "Another process listens on the port.",
    remedy: "Stop that process, choose another port, or use --port-retry.",
  },
  "RUTILE:Net:Listen": {
    cause: "The operating system refused to listen on the address.",
    remedy: "Check that the address belongs to this machine and that the port may be used.",
  },
  "RUTILE:Kernel:Unavailable": {
    cause: "A WebAssembly kernel cannot be loaded, or KERNEL names none.",
    remedy: "Run npm run asbuild, or set KERNEL=js.",
  },
  "RUTILE:Log:File": {
    cause: "The log file cannot be opened.",
    remedy: "Make it writable, or choose another --log-file.",
  },
  "RUTILE:Start:ReadyFile": {
    cause: "The ready file cannot be written.",
    remedy: "Make its directory writable, or choose another --ready-file.",
  },
  "RUTILE:Start:Child": {
    cause: "A process that this one started ended before it served requests.",
    remedy: "Read its last line, which the message ends with, and the lines above.",
  },
  "KV:Pd:ClusterBootstraped": {
    cause: "PD already has a bootstrapped cluster.",
    remedy: "Nothing to do: the store joins the cluster.",
  },
  "RUTILE:Store:ClusterMismatch": {
    cause: "The data directory belongs to another cluster than PD.",
    remedy: "Check --pd-endpoints; or start with an empty --data-dir to join this cluster.",
  },
  "RUTILE:Store:NotEmpty": {
    cause: "The data directory holds data, but no store identity.",
    remedy: "Choose an empty --data-dir, or restore the directory.",
  },
  "RUTILE:Store:ApiVersionSwitch": {
    cause: "The data was written under another storage.api-version or storage.enable-ttl.",
    remedy: "Set them as they were when the data was written, or use an empty --data-dir.",
  },
  "RUTILE:Store:Tombstone": {
    cause: "This store was removed from the cluster; PD keeps its id as a tombstone.",
    remedy: "Start with an empty --data-dir: the store joins under a new id.",
  },
  "RUTILE:Store:Refused": {
    cause: "PD refused to register this store.",
    remedy: "Read PD's words: another store may use this address or this data directory.",
  },
  "RUTILE:Snapshot:Damaged": {
    cause: "The file of a received snapshot, which a region needs to go on, is damaged or gone.",
    remedy:
      "The disk loses data. Remove this store from the cluster with rutile ctl store delete, let " +
      "its peers replace it, and start it with an empty --data-dir.",
  },
  "KV:Raftstore:EntryTooLarge": {
    cause: "One write is larger than a raft entry may be.",
    remedy: "Split the batch, or raise raftstore.raft-entry-max-size on the stores.",
  },
  "KV:Storage:DefaultNotFound": {
    cause: "A committed record points to a value that is not in the store.",
    remedy: "The data is damaged; restore the store from its peers.",
  },
  "KV:Storage:KeyTooLarge": {
    cause: "A key is longer than storage.max-key-size.",
    remedy: "Use shorter keys, or raise storage.max-key-size on the stores.",
  },
  "KV:Storage:TtlNotEnabled": {
    cause: "A TTL was given, but the stores do not keep TTLs.",
    remedy:
      "Set storage.enable-ttl = true (or storage.api-version = 2) on stores with an empty data directory.",
  },
  "KV:Storage:ApiVersionNotMatched": {
    cause: "The client and the stores use different API versions.",
    remedy: "Set the client's apiVersion to the stores' storage.api-version.",
  },
  "KV:Storage:InvalidCf": {
    cause: "The store has no such column family.",
    remedy: "Use default, write or lock; raw clients want default.",
  },
  "KV:Storage:KeyIsLocked": {
    cause: "Another transaction held a lock for as long as the client may retry.",
    remedy: "Run the transaction again; if it happens often, make transactions shorter.",
  },
  "KV:Storage:WriteConflict": {
    cause: "Another transaction has written a key since this one began.",
    remedy: "Run the transaction again from its start; transaction(fn) does so by itself.",
  },
  "KV:Storage:AlreadyExist": {
    cause: "A key that was to be inserted has a value.",
    remedy: "Use put to overwrite it, or another key.",
  },
  "KV:Storage:Deadlock": {
    cause: "Transactions wait for each other's locks in a circle; this one was chosen to give way.",
    remedy: "Run the transaction again; lock keys in the same order everywhere.",
  },
  "KV:Storage:TxnNotFound": {
    cause: "The transaction has no lock any more: it was committed, or rolled back by others.",
    remedy: "Run the transaction again; keep it shorter than its locks live.",
  },
  "KV:Storage:AssertionFailed": {
    cause: "A key was or was not there, against what the transaction knew.",
    remedy: "Report it with the message: it hints at inconsistent data or a bug.",
  },
  "RUTILE:Client:TxnAborted": {
    cause: "Another client rolled the transaction back, because its locks had expired.",
    remedy: "Run the transaction again; transaction(fn) does so by itself.",
  },
  "RUTILE:Client:TxnFinished": {
    cause: "The transaction was committed or rolled back before.",
    remedy: "Begin another transaction.",
  },
  "RUTILE:Client:TxnTooLarge": {
    cause: "A transaction or one of its values is larger than it may be.",
    remedy: "Split it into several transactions, or raise txnBytesMax.",
  },
  "RUTILE:Client:LockTimeout": {
    cause: "A lock could not be had within the wait that was allowed.",
    remedy: "Roll back and run the transaction again, or allow a longer lockWaitMs.",
  },
  "RUTILE:Client:CommitUndetermined": {
    cause: "The connection broke while the transaction was being committed.",
    remedy: "Read its keys to see whether it was committed, before doing it again.",
  },
  "RUTILE:Client:PdUnavailable": {
    cause: "No placement driver answered in time.",
    remedy: "Check the PD endpoints, and that PD runs and can be reached.",
  },
  "RUTILE:Client:PdRefused": {
    cause: "PD refused a request.",
    remedy: "Read PD's words in the message.",
  },
  "RUTILE:Client:ClusterMismatch": {
    cause: "PD belongs to another cluster than before.",
    remedy: "Make a new client if the cluster was replaced; otherwise check the PD endpoints.",
  },
  "RUTILE:Client:StoreUnavailable": {
    cause: "A store could not be reached, or was too busy, for as long as the client may retry.",
    remedy: "Check that the store runs and that its advertised address can be reached from here.",
  },
  "RUTILE:Client:RegionUnavailable": {
    cause: "No store served the region for as long as the client may retry.",
    remedy: "Check that most of the region's stores run; see rutile ctl region.",
  },
  "RUTILE:Client:Timeout": {
    cause: "The operation took longer than its timeout.",
    remedy: "Raise timeoutMs, or look for the reason in the attempts that the message lists.",
  },
  "RUTILE:Client:Aborted": {
    cause: "The caller's AbortSignal fired.",
    remedy: "Nothing to do; a write may have happened.",
  },
  "RUTILE:Client:Undetermined": {
    cause: "The connection broke after a compare-and-swap was sent.",
    remedy: "Read the key to see whether the swap happened.",
  },
  "RUTILE:Client:InvalidArgument": {
    cause: "An argument is outside of what the protocol can carry.",
    remedy: "See the message.",
  },
  "RUTILE:Client:TooManyPending": {
    cause: "More requests wait for one store than the client may hold.",
    remedy: "Await some before sending more, or raise pendingMax.",
  },
  "RUTILE:Client:Refused": {
    cause: "A store refused the request for good.",
    remedy: "Read the store's words in the message.",
  },
  "RUTILE:Client:Protocol": {
    cause: "A server answered something that the protocol does not allow.",
    remedy: "Check that the versions of client and servers fit; report it.",
  },
  "RUTILE:Client:Closed": {
    cause: "The client was closed.",
    remedy: "Close it only after the last operation.",
  },
} as const satisfies Record<string, ErrorCodeInfo>;

export type ErrorCode = keyof typeof ERROR_CODES;
