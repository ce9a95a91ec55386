// The state that all views share, and the actions that change it.
import { get, listen, post, Refused, Unreachable } from "./api.js";
import { count } from "./ui.js";
import { useEffect, useState } from "./ui.js";

const LONG_TOAST = 10000; // ms, for one that offers to undo.
const SHORT_TOAST = 5000;

export const store = {
  state: null, // what /api/state says
  stamp: 0, // grows whenever the state is loaded again
  online: true,
  lost: "", // why the page cannot go on at all
  selection: new Set(), // ids of regions
  toasts: [],
  dialog: null,
  announced: "",
};

const listeners = new Set();
let pending = false;

/** Changes the shared state and draws what depends on it. */
export function change(patch) {
  Object.assign(store, patch);
  if (pending) return;
  pending = true;
  queueMicrotask(() => {
    pending = false;
    for (const listener of [...listeners]) listener();
  });
}

/** Draws a component again when the shared state changes. */
export function useStore() {
  const [, draw] = useState(0);
  useEffect(() => {
    const listener = () => draw((n) => n + 1);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return store;
}

let loading = null;

/** Loads the state; calls that come meanwhile load it once more afterwards. */
export async function load() {
  if (loading) {
    loading.again = true;
    return loading.done;
  }
  loading = { again: false };
  loading.done = (async () => {
    try {
      do {
        loading.again = false;
        meet(await get("/api/state"));
      } while (loading.again);
    } catch (error) {
      fail(error);
    } finally {
      loading = null;
    }
  })();
  return loading.done;
}

function meet(state) {
  const before = store.state;
  const text = state.change?.text;
  change({ state, stamp: store.stamp + 1, online: true, lost: "" });
  const ended = before?.refitting && !state.refitting;
  if (text && before && (ended || text !== before.change?.text)) announce(text[0].toUpperCase() + text.slice(1));
}

function fail(error) {
  if (error instanceof Unreachable) change({ online: false });
  else if (error instanceof Refused && error.status === 403) change({ lost: error.message });
  else toast(error.message, { wrong: true });
}

/** Starts listening to the server, and loads the state for the first time. */
export function start() {
  load();
  listen(
    ({ version, refitting, changed }) => {
      const known = store.state;
      if (!known || changed || version !== known.version || refitting !== known.refitting) load();
    },
    (online) => {
      if (online && !store.online) load();
      if (!online && store.online) load(); // Says whether the link ended or the server is away.
    },
  );
}

/**
 * Does an action and says so; returns what the server answered, or null where it refused.
 * `done` is the sentence of the toast.
 */
export async function act(action, facts, done) {
  try {
    const answer = await post(action, facts);
    change({ selection: new Set() });
    await load();
    toast(done, { undo: answer.number });
    return answer;
  } catch (error) {
    if (error instanceof Unreachable) {
      toast("The server does not answer, so nothing was changed.", { wrong: true });
    }
    fail(error);
    return null;
  }
}

export async function undo() {
  const what = store.state?.undoable;
  if (!what) return toast("There is nothing to undo.");
  return act("undo", {}, `Undone: ${what}`);
}

/** Takes back what a toast tells of, unless somebody did something else since. */
export const undoToast = (one) => act("undo", { number: one.undo }, `Undone: ${one.text}`);

export async function redo() {
  const what = store.state?.redoable;
  if (!what) return toast("There is nothing to redo.");
  return act("redo", {}, `Done again: ${what}`);
}

let lastToast = 0;

/** Says what was done; the latest one takes the place of those before. */
export function toast(text, options = {}) {
  const id = ++lastToast;
  change({ toasts: [{ id, text, ...options }] });
  setTimeout(() => dismiss(id), options.undo || options.wrong ? LONG_TOAST : SHORT_TOAST);
}

export const dismiss = (id) => change({ toasts: store.toasts.filter((one) => one.id !== id) });

/** Says something to screen readers, and on the line of the state. */
export const announce = (announced) => change({ announced });

export const select = (ids) => change({ selection: new Set(ids) });

/** The class with an id, or a stand-in while it is not known. */
export function classOf(id) {
  const found = store.state?.classes.find((one) => one.id === id);
  return found ?? { id, name: `class ${id}`, colour: "#888888", kind: "defect" };
}

/** Name of a class as the page shows it: what is not a defect at all has one plain name. */
export const title = (one) => (one.id === 0 ? "false alarms" : one.name);

/** Moves what is selected to a class. */
export function move(ids, to) {
  if (!ids.length) return null;
  const where = to === null ? "back to the discovery" : `to ${title(classOf(to))}`;
  return act("move", { regions: ids, class: to }, `Moved ${count(ids.length, "region")} ${where}.`);
}

/** Confirms regions in the classes that the page shows; `shown` gives the class of an id. */
export function confirm(ids, shown) {
  const regions = {};
  for (const id of ids) {
    const one = shown(id);
    if (one === undefined) {
      return toast("Some of these regions were not shown yet: scroll to them first.", { wrong: true });
    }
    (regions[one] ??= []).push(id);
  }
  return act("confirm", { regions }, `Confirmed ${count(ids.length, "region")}.`);
}

/** Loads an address, and again whenever the state changes; what was there is shown meanwhile. */
export function useData(address) {
  const { stamp } = useStore();
  const [data, set] = useState({ address: null, value: null, error: "" });
  useEffect(() => {
    if (!address) return undefined;
    let wanted = true;
    get(address).then(
      (value) => wanted && set({ address, value, error: "" }),
      (error) => {
        if (!wanted) return;
        if (error instanceof Unreachable) change({ online: false });
        else set({ address, value: null, error: error.message });
      },
    );
    return () => {
      wanted = false;
    };
  }, [address, stamp]);
  return data.address === address ? data : { value: null, error: "" };
}
