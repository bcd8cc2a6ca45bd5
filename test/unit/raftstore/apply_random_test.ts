/**
 * Random logs with writes, conf changes, splits and log cuts against a naive model: equal state,
 * equal answers. And after a crash between any two engine writes, data, regions and applied indexes
 * agree, and the rest of the logs leads to the same end.
 * @timeout 120
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import {
  applyStateKey,
  REGION_META_MAX_KEY,
  REGION_META_MIN_KEY,
  regionStateKey,
} from "../../../src/codec/index.js";
import type { Engine } from "../../../src/engine/index.js";
import {
  decodeRegionLocalState,
  encodeRaftApplyState,
  encodeRegionLocalState,
  initialApplyState,
  PEER_STATE,
  type RegionLocalState,
  readRaftApplyState,
} from "../../../src/raftstore/local_state.js";
import type { RegionInfo } from "../../../src/raftstore/region.js";
import {
  ApplyHarness,
  kinds,
  memoryEngine,
  proposal,
  type TestProposal,
  testRegion,
} from "../../support/apply_harness.js";
import { ApplyModel, type ModelRegion, showRegion } from "../../support/apply_model.js";

const SEEDS =
  process.env.SEED === undefined ? [1n, 2n, 3n, 4n, 5n, 6n] : [BigInt(process.env.SEED)];
const STEPS = 250;

function regionsIn(engine: Engine): RegionLocalState[] {
  const snapshot = engine.snapshot();
  const bounds = { lower: REGION_META_MIN_KEY, upper: REGION_META_MAX_KEY };
  const iter = snapshot.iterate("raft", bounds);
  const states: RegionLocalState[] = [];
  for (let more = iter.seekToFirst(); more; more = iter.next()) {
    states.push(decodeRegionLocalState(iter.value()));
  }
  iter.close();
  snapshot.close();
  return states;
}

function dataIn(engine: Engine, region?: RegionInfo): string {
  const text = (bytes: Uint8Array): Buffer => Buffer.concat([Buffer.from("z"), bytes]);
  const lower = region === undefined ? Buffer.from("z") : text(region.startKey);
  const ends = region !== undefined && region.endKey.length > 0;
  const upper = ends ? text(region.endKey) : Buffer.from("{");
  const snapshot = engine.snapshot();
  const iter = snapshot.iterate("default", { lower, upper });
  const lines: string[] = [];
  for (let more = iter.seekToFirst(); more; more = iter.next()) {
    lines.push(`${Buffer.from(iter.key()).subarray(1)}=${Buffer.from(iter.value())}`);
  }
  iter.close();
  snapshot.close();
  return lines.join("\n");
}

/** A store that applies the model's logs from wherever its engine stands. */
class Replica {
  readonly harness: ApplyHarness;
  /** Proposals of all regions, by region. */
  readonly proposals = new Map<number, TestProposal[]>();
  readonly #fed = new Map<number, number>();
  #seen = 0;

  constructor(
    engine: Engine,
    private readonly model: ApplyModel,
    private readonly prng: Prng,
  ) {
    this.harness = new ApplyHarness({ engine, yieldBytes: 1 + prng.below(400) });
    for (const { state, region } of regionsIn(engine)) {
      if (state === PEER_STATE.Normal) this.#register(region);
    }
  }

  /** Feeds, applies and writes in random portions until all logs are applied. */
  async run(): Promise<void> {
    for (;;) {
      const dice = this.prng.below(4);
      if (dice === 0) this.harness.system.poll();
      else if (dice === 1) await this.harness.written(this.prng.below(3));
      else if (!this.#feed()) {
        await this.harness.settle();
        this.#learn();
        if (!this.#feed()) return;
      }
      this.#learn();
    }
  }

  #register(region: RegionInfo): void {
    const regionId = Number(region.id);
    const applyState = readRaftApplyState(this.harness.engine, region.id) ?? initialApplyState();
    const log = this.model.regions.get(regionId)?.log;
    const appliedTerm = log?.[applyState.appliedIndex - 6]?.term ?? 5;
    this.harness.register(region, { applyState, appliedTerm });
    this.#fed.set(regionId, applyState.appliedIndex);
    this.proposals.set(regionId, []);
  }

  /** Hands out a piece of a log; false when all is handed out. */
  #feed(): boolean {
    const open = [...this.#fed].filter(([id, index]) => index < this.#log(id).index);
    if (open.length === 0) return false;
    const [id, index] = this.prng.pick(open);
    const entries = this.#log(id).log.slice(index - 5, index - 5 + 1 + this.prng.below(5));
    const made = entries
      .filter(() => this.prng.below(2) === 0)
      .map((entry) => proposal(entry.index, entry.term));
    this.proposals.get(id)?.push(...made);
    this.harness.apply(id, entries, made, this.#log(id).log.at(-1));
    this.#fed.set(id, index + entries.length);
    return true;
  }

  #log(id: number): ModelRegion {
    return this.model.regions.get(id) as ModelRegion;
  }

  /** What a peer does with results: it registers the regions of a split. */
  #learn(): void {
    const results = this.harness.results();
    for (const { results: all } of results.slice(this.#seen)) {
      for (const result of all) {
        if (result.kind !== "split") continue;
        assert.equal(result.notCreated, []);
        for (const region of result.regions) {
          if (region.id === result.derived.id) continue;
          const own = region.peers.find((peer) => peer.storeId === 1n);
          this.harness.creates.releaseSplit(Number(region.id), Number(own?.id));
          this.#register(region);
        }
      }
    }
    this.#seen = results.length;
  }
}

async function freshEngine(): Promise<Engine> {
  const engine = memoryEngine();
  const batch = engine.newWriteBatch();
  const region = testRegion();
  batch.put("raft", regionStateKey(2n), encodeRegionLocalState({ state: 0, region }));
  batch.put("raft", applyStateKey(2n), encodeRaftApplyState(initialApplyState()));
  await engine.write(batch, { sync: false });
  return engine;
}

/** Data and region are those of the applied index, for every region in the engine. */
function assertAgrees(engine: Engine, model: ApplyModel, what: string): void {
  for (const { state, region } of regionsIn(engine)) {
    const applied = readRaftApplyState(engine, region.id)?.appliedIndex as number;
    const moment = model.regions.get(Number(region.id))?.moments.get(applied);
    const where = `${what}, region ${region.id} at ${applied}`;
    assert.is(showRegion(region, state === PEER_STATE.Tombstone), moment?.region, where);
    assert.is(dataIn(engine, region), moment?.data, where);
  }
}

function assertEnd(engine: Engine, model: ApplyModel, what: string): void {
  assert.is(dataIn(engine), model.dump(), what);
  const ids = regionsIn(engine).map(({ region }) => Number(region.id));
  assert.equal(
    ids,
    [...model.regions.keys()].sort((a, b) => a - b),
    what,
  );
  for (const region of model.regions.values()) {
    const state = readRaftApplyState(engine, BigInt(region.id));
    assert.is(state?.appliedIndex, region.index, `${what}, region ${region.id}`);
    assert.is(state?.truncatedIndex, region.truncated, `${what}, region ${region.id}`);
  }
  assertAgrees(engine, model, what);
}

for (const seed of SEEDS) {
  test(`seed ${seed}: the state and the answers are the model's`, async () => {
    const model = new ApplyModel(new Prng(seed));
    for (let i = 0; i < STEPS; i++) model.step();
    const replica = new Replica(await freshEngine(), model, new Prng(seed + 1000n));
    await replica.run();
    assertEnd(replica.harness.engine, model, "end");
    let heard = 0;
    for (const [id, proposals] of replica.proposals) {
      const region = model.regions.get(id);
      for (const one of proposals) {
        assert.equal(kinds([one]), [region?.answers.get(one.index)], `${id}/${one.index}`);
        heard++;
      }
    }
    assert.ok(
      heard > 20 && model.regions.size > 1,
      `${heard} answers, ${model.regions.size} regions`,
    );
  });

  test(`seed ${seed}: a crash after any engine write loses no agreement`, async () => {
    const model = new ApplyModel(new Prng(seed));
    for (let i = 0; i < STEPS; i++) model.step();
    const first = new Replica(await freshEngine(), model, new Prng(seed + 2000n));
    await first.run();
    const { submitted } = first.harness;
    assert.ok(submitted.length > 20, `${submitted.length} engine writes`);
    const engine = await freshEngine();
    for (let kept = 0; kept <= submitted.length; kept++) {
      assertAgrees(engine, model, `after ${kept} writes`);
      if (kept % 13 === 5) {
        const copy = await freshEngine();
        for (const bytes of submitted.slice(0, kept)) await copy.writeBytes(bytes, { sync: false });
        const again = new Replica(copy, model, new Prng(seed + BigInt(kept)));
        await again.run();
        assertEnd(copy, model, `replayed after ${kept} writes`);
      }
      const next = submitted[kept];
      if (next !== undefined) await engine.writeBytes(next, { sync: false });
    }
    assertEnd(engine, model, "all writes");
  });
}

test.run();
