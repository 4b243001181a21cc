/* State in one place: actions go in, a reducer makes the next state, listeners draw it. */

/**
 * @template State, Action
 * @typedef {{readonly state: State, dispatch: (action: Action) => void, subscribe: (listener: (state: State) => void) => void}} Store
 */

/**
 * @template State, Action
 * @param {(state: State, action: Action) => State} reduce
 * @param {State} first
 * @returns {Store<State, Action>}
 */
export function createStore(reduce, first) {
  let state = first;
  /** @type {((state: State) => void)[]} */
  const listeners = [];
  return {
    get state() {
      return state;
    },
    dispatch(action) {
      const before = state;
      state = reduce(state, action);
      if (state !== before) for (const listener of listeners) listener(state);
    },
    subscribe(listener) {
      listeners.push(listener);
    },
  };
}
