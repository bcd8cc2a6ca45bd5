/** Members from a stored ConfState, by replaying the changes that lead to it. */
import { assert } from "../base/index.js";
import {
  type ChangedMembers,
  type ConfChangeContext,
  type ConfChangeResult,
  enterJoint,
  simpleChange,
} from "./confchange.js";
import {
  type ConfChangeSingle,
  ConfChangeType,
  type ConfState,
  EMPTY_CONF_STATE,
} from "./types.js";

/** Returns the members that `state` describes; asserts that it is a state that changes can reach. */
export function restoreMembers(state: ConfState, context: ConfChangeContext): ChangedMembers {
  const add = (id: number): ConfChangeSingle => ({ type: ConfChangeType.AddNode, id });
  const addLearner = (id: number): ConfChangeSingle => ({
    type: ConfChangeType.AddLearnerNode,
    id,
  });
  const incoming = [
    ...state.voters.map(add),
    ...state.learners.map(addLearner),
    ...state.learnersNext.map(addLearner),
  ];
  let members: ChangedMembers = { config: EMPTY_CONF_STATE, progress: new Map() };
  const take = (result: ConfChangeResult): void => {
    assert(result.ok, "a stored configuration is one that changes can reach");
    members = result.value;
  };
  if (state.votersOutgoing.length === 0) {
    for (const change of incoming) take(simpleChange(members, [change], context));
    return members;
  }
  for (const id of state.votersOutgoing) take(simpleChange(members, [add(id)], context));
  const removals = state.votersOutgoing.map((id) => ({ type: ConfChangeType.RemoveNode, id }));
  take(enterJoint(members, state.autoLeave, [...removals, ...incoming], context));
  return members;
}
