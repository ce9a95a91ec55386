// Questions that the page asks: a name, a class, yes or no; and the help with all keys.
import { known, written } from "./keys.js";
import { change, store, title, useStore } from "./store.js";
import { html, useLayoutEffect, useRef, useState } from "./ui.js";

const open = (kind, facts) =>
  new Promise((resolve) => change({ dialog: { kind, ...facts, resolve } }));

/** Asks for a line of text; null where the person cancels. */
export const askText = (heading, value = "", confirm = "Save") =>
  open("text", { heading, value, confirm });

/** Asks whether to go on. */
export const askWhether = (heading, text, confirm) => open("whether", { heading, text, confirm });

/** Asks for a class; {class: id}, {name} of a new one where `make` is true, or null. */
export const askClass = (heading, make = false) => open("class", { heading, make });

export const showKeys = () => open("keys", {});

function finish(result) {
  const { resolve } = store.dialog;
  change({ dialog: null });
  resolve(result);
}

function Frame({ heading, children, wide }) {
  const node = useRef(null);
  // Before the next key is pressed, so that none is lost.
  useLayoutEffect(() => {
    const before = document.activeElement;
    node.current.showModal();
    node.current.querySelector("[data-first]")?.focus();
    const dialog = node.current;
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  return html`
    <dialog ref=${node} class=${wide ? "dialog wide" : "dialog"} aria-labelledby="dialog-heading"
      onCancel=${(event) => { event.preventDefault(); finish(null); }}
      onClick=${(event) => event.target === node.current && finish(null)}>
      <div class="dialog-body">
        <h2 id="dialog-heading">${heading}</h2>
        ${children}
      </div>
    </dialog>`;
}

function Text({ dialog }) {
  const [value, set] = useState(dialog.value);
  const field = useRef(null);
  useLayoutEffect(() => field.current.select(), []);
  const send = (event) => {
    event.preventDefault();
    if (value.trim()) finish(value.trim());
  };
  return html`
    <${Frame} heading=${dialog.heading}>
      <form onSubmit=${send}>
        <input ref=${field} data-first class="field" aria-labelledby="dialog-heading" maxlength="80"
          value=${value} onInput=${(event) => set(event.target.value)} />
        <div class="answers">
          <button type="button" onClick=${() => finish(null)}>Cancel</button>
          <button class="main" disabled=${!value.trim()}>${dialog.confirm}</button>
        </div>
      </form>
    <//>`;
}

function Whether({ dialog }) {
  return html`
    <${Frame} heading=${dialog.heading}>
      <p>${dialog.text}</p>
      <div class="answers">
        <button onClick=${() => finish(null)}>Cancel</button>
        <button class="main" data-first onClick=${() => finish(true)}>${dialog.confirm}</button>
      </div>
    <//>`;
}

function Palette({ dialog }) {
  const { state } = useStore();
  const [text, set] = useState("");
  const [place, setPlace] = useState(0);
  const wanted = text.trim().toLowerCase();
  const found = state.classes
    .filter((one) => title(one).toLowerCase().includes(wanted) || String(one.id) === wanted)
    .map((one) => ({ key: one.id, colour: one.colour, text: title(one), answer: { class: one.id } }));
  const same = found.some((one) => one.text.toLowerCase() === wanted);
  if (dialog.make && wanted && !same) {
    found.push({ key: "new", text: `New class “${text.trim()}”`, answer: { name: text.trim() } });
  }
  const at = Math.min(place, found.length - 1);
  const keys = (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && found.length) setPlace((at + by + found.length) % found.length);
    else if (event.key === "Enter" && found[at]) finish(found[at].answer);
    else return;
    event.preventDefault();
  };
  return html`
    <${Frame} heading=${dialog.heading}>
      <input data-first class="field" role="combobox" aria-expanded="true" aria-controls="palette"
        aria-autocomplete="list" aria-activedescendant=${found[at] ? `option-${found[at].key}` : undefined}
        aria-label="Name of the class" placeholder="Type a part of the name" value=${text}
        onInput=${(event) => { set(event.target.value); setPlace(0); }} onKeyDown=${keys} />
      <ul id="palette" class="palette" role="listbox" aria-label="Classes">
        ${found.map((one, index) => html`
          <li key=${one.key} id=${`option-${one.key}`} role="option" aria-selected=${index === at ? "true" : "false"}
            onClick=${() => finish(one.answer)} onPointerMove=${() => setPlace(index)}>
            <i class="dot" style=${{ "--c": one.colour ?? "transparent" }}></i>
            <span>${one.text}</span>
            ${one.key >= 0 && one.key <= 9 ? html`<kbd>${one.key}</kbd>` : null}
          </li>`)}
        ${found.length ? null : html`<li class="quiet" role="option" aria-disabled="true">No class has this name.</li>`}
      </ul>
    <//>`;
}

function Keys() {
  return html`
    <${Frame} heading="Keys" wide=${true}>
      <div class="key-groups">
        ${known().filter(({ list }) => list.length).map(({ group, list }) => html`
          <section key=${group}>
            <h3>${group}</h3>
            <dl>${list.map((one) => html`
              <div><dt>${(one.shown ? [one.shown] : one.keys.slice(0, 2).map(written)).map((key) => html`<kbd>${key}</kbd>`)}</dt>
              <dd>${one.label}</dd></div>`)}</dl>
          </section>`)}
      </div>
      <p class="quiet">On a touch screen: tap to select, press long to select a range.</p>
      <div class="answers"><button class="main" data-first onClick=${() => finish(null)}>Close</button></div>
    <//>`;
}

const KINDS = { text: Text, whether: Whether, class: Palette, keys: Keys };

export function Dialogs() {
  const { dialog } = useStore();
  if (!dialog) return null;
  return html`<${KINDS[dialog.kind]} key=${dialog.kind + dialog.heading} dialog=${dialog} />`;
}
