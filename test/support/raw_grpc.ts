/**
 * The smallest client: region and store from PD, then RawPut, RawGet and BatchCommands on the store.
 * It shares no code with rutile/client or pd_client, so that it shares none of their mistakes.
 */
import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import {
  deserializer,
  type kvrpcpb,
  type MethodInfo,
  methodInfo,
  serializer,
  type tikvpb,
} from "../../src/pb/index.js";
import { within } from "./within.js";

const DEADLINE_MS = 10_000;
const READY_LIMIT_MS = 10_000;

const GET_MEMBERS = methodInfo("pdpb.PD", "GetMembers");
const GET_REGION = methodInfo("pdpb.PD", "GetRegion");
const GET_STORE = methodInfo("pdpb.PD", "GetStore");
const RAW_GET = methodInfo("tikvpb.Tikv", "RawGet");
const RAW_PUT = methodInfo("tikvpb.Tikv", "RawPut");
const BATCH_COMMANDS = methodInfo("tikvpb.Tikv", "BatchCommands");

function unary<ReqIn, Res>(
  client: Client,
  info: MethodInfo<ReqIn, unknown, never, Res>,
  request: ReqIn,
): Promise<Res> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      info.path,
      serializer(info.request),
      deserializer(info.response),
      request,
      { deadline: Date.now() + DEADLINE_MS },
      (error, response) => (error === null ? resolve(response as Res) : reject(error)),
    );
  });
}

/** An open connection to the store that holds the empty key. */
export interface RawConnection {
  /** As PD tells it. */
  readonly storeAddress: string;
  put(key: Uint8Array, value: Uint8Array): Promise<void>;
  /** Undefined = not found. */
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** Opens a BatchCommands stream, answered once, that stays open until `close`. */
  holdStream(): Promise<void>;
  close(): void;
}

/** Connects by way of PD at host:port. */
export async function openRaw(pdAddress: string): Promise<RawConnection> {
  const pd = new Client(pdAddress, credentials.createInsecure());
  const { header } = await unary(pd, GET_MEMBERS, {});
  const clusterId = header?.clusterId;
  const asked = { header: clusterId === undefined ? {} : { clusterId } };
  // PD learns the leader from the first region heartbeat.
  const located = await within(READY_LIMIT_MS, "PD knows the region's leader", async () => {
    const found = await unary(pd, GET_REGION, { ...asked, regionKey: new Uint8Array(0) });
    return found.leader === null || found.region === null ? undefined : found;
  });
  const { region, leader } = located;
  if (leader === null || region === null) throw new Error("no region");
  const { store } = await unary(pd, GET_STORE, { ...asked, storeId: leader.storeId });
  pd.close();
  if (store === null) throw new Error("no store");
  const client = new Client(store.address, credentials.createInsecure());
  const context: kvrpcpb.IContext = {
    regionId: region.id,
    peer: leader,
    ...(region.regionEpoch === null ? {} : { regionEpoch: region.regionEpoch }),
  };
  let stream: ClientDuplexStream<tikvpb.IBatchCommandsRequest, unknown> | undefined;
  return {
    storeAddress: store.address,
    put: async (key, value) => {
      const reply = await unary(client, RAW_PUT, { context, key, value });
      const problem = reply.regionError?.message ?? reply.error;
      if (problem !== "") throw new Error(problem);
    },
    get: async (key) => {
      const reply = await unary(client, RAW_GET, { context, key });
      const problem = reply.regionError?.message ?? reply.error;
      if (problem !== "") throw new Error(problem);
      return reply.notFound ? undefined : reply.value;
    },
    holdStream: () => {
      const opened = client.makeBidiStreamRequest(
        BATCH_COMMANDS.path,
        serializer(BATCH_COMMANDS.request),
        deserializer(BATCH_COMMANDS.response),
      );
      stream = opened;
      opened.on("error", () => {});
      const requests = [{ RawGet: { context, key: Uint8Array.of(1) } }];
      opened.write({ requests, requestIds: [1] });
      return new Promise((resolve) => opened.once("data", () => resolve()));
    },
    close: () => {
      stream?.cancel();
      client.close();
    },
  };
}
