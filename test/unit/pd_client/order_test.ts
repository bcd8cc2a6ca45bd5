/** PD's heartbeat answers as orders, and back from what PD sends. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pdpb } from "../../../src/pb/index.js";
import type { RegionOrder } from "../../../src/pd/schedule/index.js";
import { orderToPb } from "../../../src/pd/server/hb_streams.js";
import { regionOrder } from "../../../src/pd_client/order.js";
import type { RegionOrder as StoreOrder } from "../../../src/raftstore/index.js";

const PEER = { id: 3n, storeId: 1n, role: 0, isWitness: false } as const;
const BASE = { regionId: 2n, confVer: 5n, version: 7n, targetPeer: PEER };
const plain = ({ isWitness: _, ...peer }: typeof PEER) => peer;

/** Over the wire, as bytes. */
function carried(order: RegionOrder): StoreOrder | undefined {
  const bytes = pdpb.RegionHeartbeatResponse.encode(orderToPb(9n, order)).finish();
  return regionOrder(pdpb.RegionHeartbeatResponse.decode(bytes));
}

const CASES: readonly [string, Partial<RegionOrder>, Partial<StoreOrder>][] = [
  [
    "simple change",
    { changePeers: [{ type: 2, peer: PEER }] },
    { changePeers: [{ type: 2, peer: plain(PEER) }] },
  ],
  [
    "joint change",
    {
      changePeers: [
        { type: 0, peer: PEER },
        { type: 1, peer: { ...PEER, id: 4n } },
      ],
    },
    {
      changePeers: [
        { type: 0, peer: plain(PEER) },
        { type: 1, peer: { ...plain(PEER), id: 4n } as never },
      ],
    },
  ],
  ["leaving the joint state", { changePeers: [] }, { changePeers: [] }],
  ["transfer", { transferLeader: [PEER] }, { transferLeader: [plain(PEER)] }],
  [
    "split at keys",
    { splitRegion: { keys: [Uint8Array.of(1), Uint8Array.of(2)] } },
    { splitRegion: { keys: [Uint8Array.of(1), Uint8Array.of(2)] } },
  ],
  ["split by size", { splitRegion: { keys: [] } }, { splitRegion: { keys: [] } }],
];

for (const [name, sent, expected] of CASES) {
  test(`order: ${name}`, () => {
    const order = carried({ ...BASE, ...sent }) as StoreOrder;
    const keys = order.splitRegion?.keys.map((key) => Uint8Array.from(key));
    const got = keys === undefined ? order : { ...order, splitRegion: { keys } };
    assert.equal(got, { ...BASE, targetPeer: plain(PEER), ...expected });
  });
}

test("the first form of a change and an answer without a region", () => {
  const response = new pdpb.RegionHeartbeatResponse({
    regionId: 2,
    changePeer: { changeType: 1, peer: { id: 3, storeId: 1 } },
  });
  const order = regionOrder(response);
  assert.equal(order?.changePeers, [{ type: 1, peer: plain(PEER) }]);
  assert.is(regionOrder(new pdpb.RegionHeartbeatResponse({})), undefined);
});

test.run();
