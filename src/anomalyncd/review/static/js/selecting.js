// What can be done with the selected regions, by keys and by a bar of buttons.
import { askClass, askText, askWhether } from "./dialogs.js";
import { OF_SELECTION, useKeys } from "./keys.js";
import { go, toImage } from "./parts.js";
import { get } from "./api.js";
import { act, classOf, confirm, move, select, store, title, toast, useStore } from "./store.js";
import { count, html } from "./ui.js";

const MANY = 50; // Above this, confirming all in view is asked about first.

const chosen = () => [...store.selection];

function withSelection(run) {
  if (!store.selection.size) toast("Select regions first: click them, or use the arrow keys.");
  else run(chosen());
}

async function moveByName(ids) {
  const answer = await askClass(`Move ${count(ids.length, "region")} to`, true);
  if (answer?.name) newClass(ids, answer.name);
  else if (answer) move(ids, answer.class);
}

async function newClass(ids, given) {
  const name = given ?? (await askText(`New class of ${count(ids.length, "region")}`, "", "Make it"));
  if (!name) return;
  const facts = { name, regions: ids };
  const answer = await act("new_class", facts, `Made “${name}” of ${count(ids.length, "region")}.`);
  if (!answer && given === undefined) newClass(ids);
}

async function confirmAll({ all, where, shown }) {
  const ids = await all();
  if (!ids.length) return;
  const question = `Confirm all ${count(ids.length, "region")} ${where}?`;
  const text = "Each of them counts from now on as said by you. You can undo it.";
  if (ids.length > MANY && !(await askWhether(question, text, "Confirm all"))) return;
  confirm(ids, shown);
}

/**
 * The keys for the selection. `all` gives the ids of all regions in view, `where` says where
 * that is ("of scratch"), `shown` gives the class in which the view shows the region with an id.
 */
export function useSelectionKeys({ all, where, shown }) {
  useKeys("Selected regions", OF_SELECTION, [
    {
      keys: ["enter"],
      label: "confirm them; with nothing selected, all in view",
      run: () => (store.selection.size ? confirm(chosen(), shown) : confirmAll({ all, where, shown })),
    },
    ...[...Array(9)].map((_, i) => ({
      keys: [String(i + 1)],
      shown: "1 … 9",
      label: i === 0 ? "move them to the class with this number" : "",
      run: () => {
        const known = store.state.classes.some((one) => one.id === i + 1);
        if (known) withSelection((ids) => move(ids, i + 1));
        else toast(`There is no class with the number ${i + 1}.`);
      },
    })),
    { keys: ["x", "0"], label: "they are false alarms", run: () => withSelection((ids) => move(ids, 0)) },
    {
      keys: ["/"],
      label: "choose the class by its name; with nothing selected, go to a class",
      run: async () => {
        if (store.selection.size) return moveByName(chosen());
        const answer = await askClass("Go to a class");
        if (answer) go(`#/class/${answer.class}`);
        return true;
      },
    },
    { keys: ["n"], label: "make a new class of them", run: () => withSelection((ids) => newClass(ids)) },
    {
      keys: ["w"],
      label: "withdraw what was said of them",
      run: () => withSelection((ids) => move(ids, null)),
    },
    { keys: ["a"], label: "select all in view", run: async () => select(await all()) },
    {
      keys: ["escape"],
      label: "select nothing",
      run: () => {
        if (!store.selection.size) return false;
        select([]);
        return true;
      },
    },
  ]);
}

async function openImage(id) {
  const region = await get(`/api/regions/${id}`);
  go(toImage(region.image, id));
}

/**
 * The bar that shows while regions are selected; `shown` as above, `opens` where the image is not
 * in view.
 */
export function SelectionBar({ shown, opens = true }) {
  const { selection } = useStore();
  if (!selection.size) return null;
  const ids = chosen();
  return html`
    <div class="selection-bar" role="toolbar" aria-label="Selected regions">
      <strong>${count(ids.length, "region")}</strong>
      <button class="main" onClick=${() => confirm(ids, shown)}>Confirm <kbd>↵</kbd></button>
      <button onClick=${() => moveByName(ids)}>Move to… <kbd>/</kbd></button>
      <button onClick=${() => newClass(ids)}>New class <kbd>n</kbd></button>
      <button onClick=${() => move(ids, 0)}>False alarm <kbd>x</kbd></button>
      <button onClick=${() => move(ids, null)} title="Withdraw what was said of them">Withdraw <kbd>w</kbd></button>
      ${opens && ids.length === 1 ? html`<button onClick=${() => openImage(ids[0])}>Image <kbd>o</kbd></button>` : null}
      <button class="icon" aria-label="Select nothing" title="Select nothing (esc)" onClick=${() => select([])}>×</button>
    </div>`;
}

/** Asks, and merges a whole class into the false alarms. */
export async function wholeClassIsFalseAlarm(id) {
  const one = classOf(id);
  const text = `All ${count(one.n_regions, "region")} of it count as false alarms. You can undo it.`;
  if (await askWhether(`Is “${title(one)}” a false alarm as a whole?`, text, "False alarm")) {
    return act("merge", { into: 0, classes: [id] }, `“${one.name}” counts as a false alarm.`);
  }
  return null;
}
