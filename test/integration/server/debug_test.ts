/** debugpb.Debug: what tikv-ctl reads of a store and its regions. */
import { status } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromBigInt, methodDefinition, methodInfo, toBigInt } from "../../../src/pb/index.js";
import { type Served, startServed } from "../../support/tikv_server.js";

type Method = "RegionInfo" | "GetStoreInfo" | "GetClusterInfo" | "GetAllRegionsInStore";
type Fields = Record<string, unknown>;

function ask(served: Served, method: Method, request: object): Promise<Fields> {
  const info = methodInfo("debugpb.Debug", method) as never;
  const { path, requestSerialize, responseDeserialize } = methodDefinition(info);
  return new Promise((resolve, reject) => {
    served
      .connect()
      .makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request as never,
        (error: Error | null, answer?: unknown) =>
          error === null ? resolve(answer as Fields) : reject(error),
      );
  });
}

test("the store, its regions and their records", async () => {
  const served = await startServed({ storage: { apiVersion: 2 } });
  const { ctx, store } = served.fixture;
  const info = await ask(served, "GetStoreInfo", {});
  assert.is(toBigInt(info.storeId as never), store.storeId);
  assert.is(info.apiVersion, 2);
  const cluster = await ask(served, "GetClusterInfo", {});
  assert.is(toBigInt(cluster.clusterId as never), store.clusterId);
  const { regions } = await ask(served, "GetAllRegionsInStore", {});
  assert.equal((regions as never[]).map(toBigInt), [ctx.regionId]);
  const region = (await ask(served, "RegionInfo", {
    regionId: fromBigInt(ctx.regionId),
  })) as never as {
    raftLocalState: { hardState: { term: never } };
    raftApplyState: { appliedIndex: never };
    regionLocalState: { region: { id: never } };
  };
  assert.ok(toBigInt(region.raftLocalState.hardState.term) >= 5n);
  assert.ok(toBigInt(region.raftApplyState.appliedIndex) >= 5n);
  assert.is(toBigInt(region.regionLocalState.region.id), ctx.regionId);
  for (const id of [0n, 99n, (1n << 64n) - 1n]) {
    const error = await ask(served, "RegionInfo", { regionId: fromBigInt(id) }).then(
      () => undefined,
      (thrown: { code: number; details: string }) => thrown,
    );
    assert.is(error?.code, status.NOT_FOUND, String(id));
    assert.is(error?.details, `Not Found "info for region ${id}"`);
  }
  await served.stop();
});

test.run();
