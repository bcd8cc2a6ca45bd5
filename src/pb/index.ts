export {
  coprocessor,
  deadlock,
  debugpb,
  diagnosticspb,
  eraftpb,
  errorpb,
  etcdserverpb,
  grpc,
  import_sstpb,
  keyspacepb,
  kvrpcpb,
  meta_storagepb,
  metapb,
  mvccpb,
  pdpb,
  raft_cmdpb,
  raft_serverpb,
  replication_modepb,
  resource_manager,
  tikvpb,
} from "#pb/wire.js";
export * from "./services.js";
export * from "./u64.js";
export * from "./wire_reader.js";
export * from "./wire_writer.js";
