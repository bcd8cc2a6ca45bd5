/** Where orders go: the newest stream of the leader's store, if it reads. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { pdpb } from "../../../src/pb/index.js";
import { HeartbeatStreams, type OrderEvent } from "../../../src/pd/server/hb_streams.js";

class FakeStream {
  readonly got: pdpb.IRegionHeartbeatResponse[] = [];
  reads = true;

  push(response: pdpb.IRegionHeartbeatResponse): boolean {
    if (this.reads) this.got.push(response);
    return this.reads;
  }
}

function order(storeId: bigint) {
  const targetPeer = { id: 3n, storeId, role: 0, isWitness: false } as const;
  return { regionId: 2n, confVer: 1n, version: 1n, targetPeer, changePeers: [] };
}

test("orders go to the newest stream of a store, and to none when it ended", () => {
  const events: OrderEvent[] = [];
  const streams = new HeartbeatStreams(7n, (event) => events.push(event));
  const [old, fresh, other] = [new FakeStream(), new FakeStream(), new FakeStream()];
  streams.send(order(1n));
  streams.bind(1n, old);
  streams.bind(2n, other);
  streams.bind(1n, fresh);
  streams.send(order(1n));
  streams.unbind(old);
  streams.send(order(1n));
  assert.equal([old.got.length, fresh.got.length, other.got.length], [0, 2, 0]);
  fresh.reads = false;
  streams.send(order(1n));
  streams.unbind(fresh);
  streams.send(order(1n));
  streams.send(order(2n));
  assert.is(other.got.length, 1);
  assert.equal(events, ["no-stream", "push", "push", "full", "no-stream", "push"]);
});

test.run();
