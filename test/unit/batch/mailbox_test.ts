/** Ownership, bounds, closing and waking of mailboxes; addresses. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FsmState } from "../../../src/batch/fsm.js";
import { KEEP_PROCESSING, stopAt } from "../../../src/batch/index.js";
import { BatchFixture, takeAll, takeOne } from "../../support/batch_fixture.js";

test("ownership: idle → notified → idle, one taker; dropped is final and says who frees", () => {
  const state = new FsmState();
  assert.ok(state.take());
  assert.not.ok(state.take(), "only one sender schedules");
  assert.ok(state.release());
  assert.throws(() => state.release(), /only an owner/);
  assert.ok(state.take());
  assert.not.ok(state.drop(), "owned: the owner frees it");
  assert.not.ok(state.release(), "the owner learns it");
  assert.not.ok(state.take());
  const idle = new FsmState();
  assert.ok(idle.drop(), "idle: the closer frees it");
  assert.is(idle.ownership, "dropped");
});

test("sends wake an idle FSM once; the queue is bounded for send, not for forceSend", () => {
  const fixture = new BatchFixture({ notifyCapacity: 3 });
  const { router } = fixture.system;
  const fsm = fixture.add(1);
  for (const message of [1, 2, 3]) assert.is(router.send(1, message), "sent");
  assert.is(router.send(1, 4), "full");
  assert.is(fixture.metrics.channelFull, 1);
  assert.is(router.forceSend(1, 5), "sent");
  assert.is(router.mailbox(1)?.length, 4);
  assert.is(fixture.settle(), 1);
  assert.equal(fsm.seen, [1, 2, 3, 5]);
  assert.is(fsm.turns, 1);
  assert.is(router.send(1, 6), "sent");
});

test("unknown and closed addresses, and mailboxes kept beyond their end, refuse", () => {
  const fixture = new BatchFixture();
  const { router } = fixture.system;
  assert.is(router.send(9, 1), "notFound");
  assert.is(router.forceSend(9, 1), "notFound");
  assert.not.ok(router.resume(9));
  assert.not.ok(router.close(9));
  const fsm = fixture.add(9);
  const mailbox = router.mailbox(9);
  assert.ok(router.close(9));
  assert.is(router.send(9, 1), "notFound");
  assert.is(mailbox?.trySend(1), "closed");
  assert.is(mailbox?.forceSend(1), "closed");
  assert.not.ok(mailbox?.resume());
  assert.equal(fsm.undelivered, []);
  assert.is(fixture.settle(), 0);
});

test("registering an address twice closes the old mailbox; the new one starts empty", () => {
  const fixture = new BatchFixture();
  const { router } = fixture.system;
  const old = fixture.add(1);
  router.send(1, 1);
  const fresh = fixture.add(1);
  router.send(1, 2);
  fixture.settle();
  assert.equal([old.seen, old.undelivered], [[1], []], "what was accepted is delivered first");
  assert.equal([fresh.seen, fresh.undelivered], [[2], undefined]);
  assert.is(router.size, 1);
});

test("closing hands back what an idle, waiting FSM left unread", () => {
  const fixture = new BatchFixture();
  const { router } = fixture.system;
  const fsm = fixture.add(1, (slot) => stopAt(slot.pending));
  router.send(1, 1);
  router.send(1, 2);
  fixture.settle();
  router.close(1);
  assert.equal([fsm.seen, fsm.undelivered], [[], [1, 2]]);
});

test("an FSM closed in its own turn drains what was accepted, then is dropped, once", () => {
  const fixture = new BatchFixture({ messagesPerTick: 2 });
  const { router } = fixture.system;
  const fsm = fixture.add(1, (slot) => {
    router.close(1);
    return takeAll(slot);
  });
  for (const message of [1, 2, 3]) router.send(1, message);
  assert.is(fixture.settle(), 2);
  assert.equal([fsm.seen, fsm.undelivered], [[1, 2, 3], []]);
});

test("a stopped FSM leaves when its mailbox is empty, not before", () => {
  const fixture = new BatchFixture();
  const { router } = fixture.system;
  const fsm = fixture.add(1, (slot) => {
    router.close(1);
    slot.fsm.stopped = true;
    takeOne(slot);
    return KEEP_PROCESSING;
  });
  for (const message of [1, 2, 3]) router.send(1, message);
  assert.is(fixture.settle(), 3, "one message a turn");
  assert.equal([fsm.seen, fsm.undelivered], [[1, 2, 3], []]);
});

test("broadcast reaches every FSM beyond bounds, and not the control FSM", () => {
  const fixture = new BatchFixture({ notifyCapacity: 1 });
  const fsms = [1, 2, 3].map((address) => fixture.add(address));
  fixture.system.router.send(2, 7);
  fixture.system.router.broadcast((address) => address * 10);
  fixture.settle();
  assert.equal(
    fsms.map(({ seen }) => seen),
    [[10], [7, 20], [30]],
  );
  assert.is(fixture.control.turns, 0);
});

test("a message sent while the FSM is owned is not lost (lost wake-up)", () => {
  for (const phase of ["turn", "lightEnd", "end"] as const) {
    const fixture = new BatchFixture();
    const { router } = fixture.system;
    const fsm = fixture.add(1, (slot) => {
      const result = takeAll(slot);
      if (phase === "turn" && slot.fsm.turns === 1) router.send(1, 2);
      return result;
    });
    let sent = false;
    const sendOnce = (): void => {
      if (!sent) router.send(1, 2);
      sent = true;
    };
    if (phase !== "turn") fixture.hooks = { [phase]: sendOnce };
    router.send(1, 1);
    fixture.settle();
    assert.equal(fsm.seen, [1, 2], phase);
  }
});

test("an FSM that waits is woken by a message and by an event, also while it is owned", () => {
  const fixture = new BatchFixture();
  const { router } = fixture.system;
  let ready = false;
  const fsm = fixture.add(1, (slot) => (ready ? takeAll(slot) : stopAt(slot.pending)));
  router.send(1, 1);
  assert.is(fixture.settle(), 1);
  assert.is(fixture.settle(), 0, "it left the batch with its message unread");
  router.send(1, 2);
  assert.is(fixture.settle(), 1, "a message asks again");
  ready = true;
  assert.is(fixture.settle(), 0, "nothing looks at it without an event");
  assert.ok(router.resume(1));
  fixture.settle();
  assert.equal(fsm.seen, [1, 2]);

  ready = false;
  fixture.hooks = {
    end() {
      if (!ready) router.resume(1);
      ready = true;
    },
  };
  router.send(1, 3);
  fixture.settle();
  assert.equal(fsm.seen, [1, 2, 3], "the event came between its turn and its release");
});

test("progress that the queue contradicts is a bug", () => {
  const fixture = new BatchFixture();
  fixture.add(1, (slot) => stopAt(slot.pending + 1));
  fixture.system.router.send(1, 1);
  assert.throws(() => fixture.system.poll(), /progress counts messages/);
  assert.throws(() => fixture.system.poll(), /none follows one that threw/);
});

test("no code path takes messages outside of the FSM's turn", () => {
  const fixture = new BatchFixture();
  const { system } = fixture;
  const fsm = fixture.add(1, (slot) => {
    system.assertOwned(fsm);
    other.push(slot);
    return KEEP_PROCESSING;
  });
  const idle = fixture.add(2);
  const other: Parameters<typeof takeOne>[0][] = [];
  fixture.hooks = {
    end: ([slot]) => {
      system.assertOwned(fsm);
      assert.throws(() => system.assertOwned(idle), /in their round only/);
      assert.throws(() => slot?.receive(), /in its turn of a poll round only/);
      assert.throws(() => system.poll(), /do not nest/);
      assert.throws(() => system.shutdown(), /inside a round/);
    },
  };
  system.router.send(1, 1);
  system.poll();
  assert.is(other.length, 1);
  assert.throws(() => other[0]?.receive(), /in its turn of a poll round only/);
  assert.throws(() => system.assertOwned(fsm), /in their round only/);
});

test.run();
