/** Service definitions serve and call over grpc-js. */
import * as grpc from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  fromBigInt,
  methodDefinition,
  methodInfo,
  type pdpb,
  rawMethodDefinition,
  serviceDefinition,
  tikvpb,
  toBigInt,
} from "../../../src/pb/index.js";

type Unary<Req, Res> = (call: { request: Req }, reply: grpc.sendUnaryData<Res>) => void;

const getMembers: Unary<pdpb.GetMembersRequest, pdpb.IGetMembersResponse> = (call, reply) => {
  reply(null, { header: { clusterId: fromBigInt(toBigInt(call.request.header?.clusterId ?? 0)) } });
};

async function serve(body: (client: grpc.Client) => Promise<void>): Promise<void> {
  const server = new grpc.Server();
  server.addService(serviceDefinition("pdpb.PD"), { GetMembers: getMembers });
  server.addService(serviceDefinition("tikvpb.Tikv", ["BatchCommands"]), {
    BatchCommands: (call: grpc.ServerDuplexStream<Buffer, Uint8Array>) => {
      call.on("data", (frame: Buffer) => call.write(frame));
      call.on("end", () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  try {
    await body(client);
  } finally {
    client.close();
    server.forceShutdown();
  }
}

test("a unary call carries u64::MAX there and back", () =>
  serve(async (client) => {
    const method = methodDefinition(methodInfo("pdpb.PD", "GetMembers"));
    const max = 0xffff_ffff_ffff_ffffn;
    const response = await new Promise<pdpb.GetMembersResponse | undefined>((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { header: { clusterId: fromBigInt(max) } },
        (error, value) => (error === null ? resolve(value) : reject(error)),
      );
    });
    assert.is(toBigInt(response?.header?.clusterId ?? 0), max);
  }));

test("a request that does not decode gets INTERNAL, an unknown method UNIMPLEMENTED", () =>
  serve(async (client) => {
    const same = (bytes: Buffer): Buffer => bytes;
    const codeOf = (path: string, body: Buffer): Promise<grpc.status | undefined> =>
      new Promise((resolve) => {
        client.makeUnaryRequest(path, same, same, body, (error) => resolve(error?.code));
      });
    assert.is(
      await codeOf("/pdpb.PD/GetMembers", Buffer.from("0a7f", "hex")),
      grpc.status.INTERNAL,
    );
    assert.is(await codeOf("/pdpb.PD/Tso2", Buffer.alloc(0)), grpc.status.UNIMPLEMENTED);
    assert.is(await codeOf("/pdpb.PD/AllocID", Buffer.alloc(0)), grpc.status.UNIMPLEMENTED);
  }));

test("a raw method hands the frame over as it came", () =>
  serve(async (client) => {
    const method = rawMethodDefinition(methodInfo("tikvpb.Tikv", "BatchCommands"));
    const frame = tikvpb.BatchCommandsRequest.encode({ requestIds: [7], requests: [{}] }).finish();
    const stream = client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
    );
    const got = new Promise<Buffer>((resolve) => stream.once("data", resolve));
    stream.write(frame);
    assert.equal(Buffer.from(await got), Buffer.from(frame));
    const ended = new Promise((resolve) => stream.once("end", resolve));
    stream.end();
    await ended;
  }));

test("makeClientConstructor takes a definition", () => {
  const Client = grpc.makeClientConstructor(serviceDefinition("pdpb.PD"), "PD");
  assert.type(Client.prototype.GetMembers, "function");
});

test.run();
