/**
 * A grpc-js stream that answers each frame with a prepared message of the same number of responses:
 * the ceiling of the transport. Arguments: responses a message. Prints its port.
 */
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { fromBigInt, methodInfo, rawMethodDefinition, tikvpb } from "../../../src/pb/index.js";
import { valueAt } from "../data.js";

const count = Number(process.argv[2]);
const answer = Buffer.from(
  tikvpb.BatchCommandsResponse.encode({
    responses: Array.from({ length: count }, (_, i) => ({ RawGet: { value: valueAt(i) } })),
    requestIds: Array.from({ length: count }, (_, i) => fromBigInt(BigInt(i + 1))),
  }).finish(),
);
const server = new Server({ "grpc.enable_channelz": 0 });
server.addService(
  { BatchCommands: rawMethodDefinition(methodInfo("tikvpb.Tikv", "BatchCommands")) as never },
  {
    BatchCommands: (stream: ServerDuplexStream<Buffer, Uint8Array>) => {
      stream.on("data", () => stream.write(answer));
      stream.on("end", () => stream.end());
      stream.on("error", () => {});
    },
  },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  console.log(JSON.stringify({ port }));
});
process.stdin.resume().on("end", () => process.exit(0));
