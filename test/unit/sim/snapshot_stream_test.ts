/** Snapshots on their way in the simulator: whoever dies, the other end gets its place back. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NULL_LOGGER, Prng } from "../../../src/base/index.js";
import { MemoryDisk, openMemoryEngine } from "../../../src/engine/index.js";
import {
  enginePort,
  MemorySnapDisk,
  MemorySnapFiles,
  type RaftMessage,
  RegionSnapshots,
} from "../../../src/raftstore/index.js";
import { SimHost } from "../../sim/host.js";
import { SimLoop } from "../../sim/loop.js";
import { SimNetwork } from "../../sim/network.js";
import { optionsOf } from "../../sim/options.js";
import { type SnapshotEnd, SnapshotStream } from "../../sim/snapshot_stream.js";
import { SimTrace } from "../../sim/trace.js";
import {
  generate,
  regionOf,
  SNAPSHOT_OPTIONS,
  snapshotMessage,
} from "../../support/snapshot_store.js";

const REGION = regionOf(7, "b", "m");
const KEY = { regionId: 7, term: 6, index: 42 };
/** Longer than either side waits. */
const LONG_US = 20_000_000;

function fail(error: Error): never {
  throw error;
}

/** A store's end of streams; what its peers are told is in `told`. */
class End implements SnapshotEnd {
  readonly host: SimHost;
  readonly engine = openMemoryEngine(fail, new MemoryDisk());
  readonly snapshots: RegionSnapshots;
  readonly told: string[] = [];

  constructor(name: string, loop: SimLoop) {
    this.host = new SimHost(name, loop, new Prng(1n));
    this.host.start();
    this.snapshots = new RegionSnapshots(SNAPSHOT_OPTIONS, {
      port: enginePort(this.engine, fail),
      files: new MemorySnapFiles(new MemorySnapDisk(), this.host),
      clock: this.host,
      timers: this.host,
      logger: NULL_LOGGER,
      onFatal: fail,
      ownerOf: () => undefined,
    });
  }

  readonly events = {
    onRaftMessage: (_message: RaftMessage): void => {
      this.told.push("message");
    },
    onUnreachable: (): void => undefined,
    onStoreUnreachable: (): void => undefined,
    onSnapshotSent: (_region: number, _to: number, failed: boolean): void => {
      this.told.push(failed ? "failed" : "sent");
    },
  };

  get receiving(): number {
    return this.snapshots.stats().receivingCount;
  }
}

interface Stream {
  readonly loop: SimLoop;
  readonly from: End;
  readonly to: End;
  /** The process that runs on the sender's machine now. */
  sender: End;
}

/** Begins to send a snapshot from one store to another. */
function begin(): Stream {
  const loop = new SimLoop();
  const [from, to] = [new End("s1", loop), new End("s2", loop)];
  const weights = { ...optionsOf(1n).network, lossPerMille: 0, duplicatePerMille: 0 };
  const network = new SimNetwork(loop, new Prng(1n), weights, new SimTrace());
  const stream: Stream = { loop, from, to, sender: from };
  const data = generate(from, KEY, REGION);
  if (data === undefined) throw new Error("refused");
  const deps = {
    ...{ network, prng: new Prng(1n), from, to: () => to, cutsPerMille: 0 },
    isSenderUp: () => stream.sender === from,
    onArrived: () => undefined,
  };
  new SnapshotStream(deps, snapshotMessage(KEY, data, REGION)).start();
  return stream;
}

async function until({ loop }: Stream, isDone: () => boolean): Promise<void> {
  await loop.run(loop.nowUs + LONG_US, () => {
    if (isDone()) loop.stop();
  });
}

test("a snapshot arrives and both ends are done with it", async () => {
  const stream = begin();
  await until(stream, () => stream.from.told.length > 0);
  assert.equal(stream.from.told, ["sent"]);
  assert.equal(stream.to.told, ["message"]);
  assert.ok(stream.to.snapshots.has(KEY));
  assert.is(stream.to.receiving, 0);
});

test("a sender that dies takes no place at the receiver for ever", async () => {
  const stream = begin();
  await until(stream, () => stream.to.receiving === 1);
  stream.from.host.crash();
  await until(stream, () => stream.to.receiving === 0);
  assert.is(stream.to.receiving, 0);
  assert.not.ok(stream.to.snapshots.has(KEY));
  assert.equal(stream.to.told, []);
});

test("what a dead process was sending is not sent by the next one of its machine", async () => {
  const stream = begin();
  await until(stream, () => stream.to.receiving === 1);
  stream.from.host.crash();
  stream.from.host.start();
  stream.sender = new End("s1 again", stream.loop);
  await until(stream, () => stream.to.receiving === 0);
  assert.is(stream.to.receiving, 0);
  assert.not.ok(stream.to.snapshots.has(KEY));
});

test.run();
