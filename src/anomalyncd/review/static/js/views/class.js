// One class: its regions, the classes most similar to it, and its definition.
import { query } from "../api.js";
import { askText } from "../dialogs.js";
import { Grid } from "../grid.js";
import { OF_VIEW, useKeys } from "../keys.js";
import { idsOfClass, usePages } from "../paging.js";
import { Choice, go, nameOfRegion, RegionCell, tintOfRegion, toImage } from "../parts.js";
import { SelectionBar, useSelectionKeys, wholeClassIsFalseAlarm } from "../selecting.js";
import { act, select, store, title, toast, useData, useStore } from "../store.js";
import { count, html, names, number, useEffect, useState } from "../ui.js";
import { Definition } from "./definition.js";
import { Similar } from "./similar.js";

export const SIZES = [[96, "S"], [132, "M"], [196, "L"]];

async function rename(one) {
  const name = await askText(`Name of “${one.name}”`, one.name, "Rename");
  if (name && name !== one.name) {
    await act("edit", { class: one.id, name }, `“${one.name}” is called “${name}” now.`);
  }
}

/** Adds the selected regions to the examples of a class, or takes them away if all are in. */
function example(one, which) {
  const ids = [...store.selection];
  if (!ids.length) return toast("Select regions first, by a click or the arrow keys.");
  const before = one[which];
  const all = ids.every((id) => before.includes(id));
  const after = all ? before.filter((id) => !ids.includes(id)) : [...new Set([...before, ...ids])];
  const what = which === "examples" ? "example" : "counter-example";
  const done = all ? `Took ${count(ids.length, what)} away.` : `Added ${count(ids.length, what)}.`;
  return act("edit", { class: one.id, [which]: after }, done);
}

/** The class before or after one, false alarms left out. */
function neighbour(state, id, by) {
  const ids = state.classes.filter((one) => one.id !== 0).map((one) => one.id);
  if (!ids.length) return id;
  const at = ids.indexOf(id);
  return ids[((at < 0 ? 0 : at + by) + ids.length) % ids.length];
}

function Rail({ id }) {
  const { state } = useStore();
  const shown = [...state.classes.filter((one) => one.id !== 0), ...state.classes.filter((one) => one.id === 0)];
  return html`
    <nav class="rail" aria-label="Classes">
      <ul>${shown.map((one) => html`
        <li key=${one.id} class=${names(one.kind !== "defect" && "aside")}>
          <a href=${`#/class/${one.id}`} aria-current=${one.id === id ? "page" : undefined}>
            <i class="dot" style=${{ "--c": one.colour }}></i><span>${title(one)}</span>
            <small>${number(one.n_regions)}</small>${one.id <= 9 ? html`<kbd>${one.id}</kbd>` : html`<kbd class="none"></kbd>`}
          </a>
        </li>`)}</ul>
    </nav>`;
}

export function ClassView({ id }) {
  const { state, selection } = useStore();
  const [order, setOrder] = useState("sure");
  const [side, setSide] = useState(132);
  const [panel, setPanel] = useState("similar");
  const [at, setAt] = useState(0);
  const one = state.classes.find((other) => other.id === id);
  const list = usePages(`/api/regions?${query({ view: "class", class: id, order })}`);
  const similar = useData(`/api/classes/${id}/similar`);
  const candidates = (similar.value?.items ?? []).filter(
    (other) => other.id !== id && other.id !== 0 && state.classes.some((known) => known.id === other.id),
  );
  const candidate = candidates[Math.min(at, candidates.length - 1)];
  useEffect(() => {
    // Merged, or undone: the class is gone.
    if (!one) go("#/");
  }, [one === undefined]);

  const next = (by) => {
    setPanel("similar");
    if (candidates.length) setAt((Math.min(at, candidates.length - 1) + by + candidates.length) % candidates.length);
  };
  const merge = async () => {
    if (!candidate) return toast("There is no other class to merge with.");
    const other = state.classes.find((known) => known.id === candidate.id);
    const done = `Merged “${other.name}” into “${title(one)}”.`;
    return act("merge", { into: id, classes: [other.id] }, done);
  };
  const turn = () => setOrder(order === "sure" ? "unsure" : "sure");
  const aside = (which) => {
    setPanel("definition");
    return example(one, which);
  };
  const all = () => idsOfClass(id);
  const shown = () => id; // Where a region has left the class meanwhile, the server refuses.
  useSelectionKeys({ all, where: one ? `of ${title(one)}` : "", shown });
  useKeys("This class", OF_VIEW, [
    { keys: ["space"], label: "next similar class", run: () => next(1) },
    { keys: ["shift+space"], label: "previous similar class", run: () => next(-1) },
    { keys: ["g"], label: "merge the similar class into this one", run: () => void merge() },
    { keys: ["k"], label: "split this class: shows a proposal first", run: () => go(`#/class/${id}/split`) },
    { keys: ["l"], label: "rename this class", run: () => (id === 0 ? toast("The false alarms have no other name.") : void rename(one)) },
    { keys: ["e"], label: "the selected regions are examples", run: () => void aside("examples") },
    { keys: ["c"], label: "the selected regions are counter-examples", run: () => void aside("counter_examples") },
    { keys: ["s"], label: "surest or least sure first", run: turn },
    { keys: ["."], label: "next class", run: () => go(`#/class/${neighbour(state, id, 1)}`) },
    { keys: [","], label: "previous class", run: () => go(`#/class/${neighbour(state, id, -1)}`) },
    {
      keys: ["shift+x"],
      label: "the whole class is a false alarm",
      run: () => id !== 0 && void wholeClassIsFalseAlarm(id),
    },
  ]);
  if (!one) return null;
  return html`
    <${Rail} id=${id} />
    <section class="middle" aria-label=${title(one)}>
      <div class="view-head">
        <h1><i class="dot" style=${{ "--c": one.colour }}></i>${title(one)}</h1>
        <p class="quiet">${count(one.n_regions, "region")} on ${count(one.n_images, "image")}${one.n_said ? `, ${number(one.n_said)} confirmed` : ""}${one.kind === "defect" ? "" : ` · ${one.kind}`}</p>
        <div class="tools">
          ${id === 0 ? null : html`
            <button onClick=${() => rename(one)}>Rename <kbd>l</kbd></button>
            <button onClick=${() => go(`#/class/${id}/split`)} disabled=${one.n_regions < 2}>Split <kbd>k</kbd></button>`}
          <a class="button" href=${`#/images?class=${id}`}>Images</a>
          <${Choice} label="Order" value=${order} onChange=${setOrder} options=${[["sure", "Surest first"], ["unsure", "Least sure first"]]} />
          <${Choice} label="Size of pictures" value=${side} onChange=${setSide} options=${SIZES} />
        </div>
      </div>
      <${Grid} list=${list} side=${side} label=${`Regions of ${title(one)}`} selection=${selection}
        draw=${(region, width) => html`<${RegionCell} region=${region} side=${width} />`}
        name=${nameOfRegion} tint=${tintOfRegion} onSelect=${select}
        onOpen=${(region) => go(toImage(region.image, region.id))}
        empty="No region is in this class." />
      <${SelectionBar} shown=${shown} />
    </section>
    <aside class="side" aria-label="About this class">
      <div class="tabs" role="tablist" aria-label="About this class">
        ${[["similar", "Similar classes"], ["definition", "Definition"]].map(([key, text]) => html`
          <button key=${key} role="tab" id=${`tab-${key}`} aria-controls="side-panel" aria-selected=${panel === key ? "true" : "false"}
            tabindex=${panel === key ? 0 : -1} onClick=${() => setPanel(key)}
            onKeyDown=${(event) => {
              if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
              event.preventDefault();
              const other = key === "similar" ? "definition" : "similar";
              setPanel(other);
              document.getElementById(`tab-${other}`).focus();
            }}>${text}</button>`)}
      </div>
      <div id="side-panel" role="tabpanel" aria-labelledby=${`tab-${panel}`} tabindex="0">
        ${panel === "similar"
          ? html`<${Similar} one=${one} candidates=${candidates} candidate=${candidate}
              onPick=${(place) => setAt(place)} onMerge=${merge} onNext=${() => next(1)} />`
          : html`<${Definition} key=${id} one=${one} onExample=${(which) => example(one, which)} />`}
      </div>
    </aside>`;
}
