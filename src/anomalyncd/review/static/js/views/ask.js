// Regions whose class is least certain: one at a time with its image, or all in a grid.
import { get, picture, query } from "../api.js";
import { askClass, askText } from "../dialogs.js";
import { Grid, Thumb } from "../grid.js";
import { OF_VIEW, useKeys } from "../keys.js";
import { usePages } from "../paging.js";
import { Choice, go, nameOfRegion, Probabilities, RegionCell, tintOfRegion, toImage } from "../parts.js";
import { SelectionBar, useSelectionKeys } from "../selecting.js";
import { act, classOf, confirm, move, select, title, useData, useStore } from "../store.js";
import { count, html, useEffect, useRef, useState } from "../ui.js";
import { Picture } from "./image.js";

const ADDRESS = "/api/regions?view=ask";

/** Ids of all regions of a list. */
export async function idsOf(list) {
  await list.ensure(0, 0);
  return (await list.slice(0, Math.max(0, (list.total ?? 0) - 1))).map((one) => one.id);
}

function All({ mode }) {
  const { selection } = useStore();
  const list = usePages(ADDRESS);
  const shown = (id) => list.classes.get(id);
  useSelectionKeys({ all: () => idsOf(list), where: "to look at", shown });
  return html`
    <div class="column">
      <div class="view-head"><h1>To look at</h1><p class="quiet">${list.total === null ? "" : count(list.total, "region")}, the most useful first</p><div class="tools">${mode}</div></div>
      <${Grid} list=${list} side=${132} label="Regions to look at" selection=${selection} onSelect=${select}
        draw=${(region, width) => html`<${RegionCell} region=${region} side=${width} />`} name=${nameOfRegion} tint=${tintOfRegion}
        onOpen=${(region) => go(toImage(region.image, region.id))} empty="There is nothing left to look at." />
      <${SelectionBar} shown=${shown} />
    </div>`;
}

function Context({ region }) {
  const { value: image } = useData(`/api/image?${query({ name: region.image })}`);
  const [outlines, setOutlines] = useState(null);
  useEffect(() => {
    let wanted = true;
    get(`/picture/outlines.json?${query({ name: region.image })}`).then((answer) => wanted && setOutlines(answer.regions), () => {});
    return () => {
      wanted = false;
    };
  }, [region.image]);
  return html`
    <figure class="context">
      ${image ? html`<${Picture} image=${image} outlines=${outlines} chosen=${new Set([region.id])}>
        <figcaption><a href=${toImage(region.image, region.id)}>${region.image}</a></figcaption><//>` : null}
    </figure>`;
}

/**
 * The region in question, which stays until it is answered or skipped: a refit changes which
 * regions are in the list, and their order. It comes back where its answer is undone.
 */
function useQuestion(list) {
  const [place, setPlace] = useState(0);
  const [, draw] = useState(0);
  const now = useRef({ id: null, answered: null, left: false }).current;
  const total = list.total ?? 0;
  const at = Math.min(place, Math.max(0, total - 1));
  useEffect(() => {
    list.ensure(at, at + 1);
  }, [list, list.stamp, at]);
  if (now.answered !== null) {
    const listed = list.find(now.answered) >= 0;
    if (listed && now.left) Object.assign(now, { id: now.answered, answered: null });
    now.left = !listed;
  }
  // An answered region leaves the list a little later, and the next one takes its place.
  const next = list.at(at)?.id === now.answered ? list.at(at + 1) : list.at(at);
  now.id ??= next?.id ?? null;
  const leave = (facts) => {
    Object.assign(now, { id: null, ...facts });
    draw((n) => n + 1);
  };
  const step = (by) => {
    setPlace(Math.min(Math.max(0, total - 1), Math.max(0, at + by)));
    leave({ answered: null });
  };
  const done = (answered) => now.id === answered && leave({ answered, left: false });
  return { id: now.id, at, total, step, done };
}

function OneByOne({ mode }) {
  const { state } = useStore();
  const list = usePages(ADDRESS);
  const { id, at, total, step, done } = useQuestion(list);
  const details = useData(id === null ? null : `/api/regions/${id}`);
  const region = id === null ? undefined : list.at(list.find(id)) ?? details.value;
  const after = async (action) => (await action) && done(region.id);
  const answer = (to) => {
    if (!region) return;
    after(to === region.class ? confirm([region.id], () => region.class) : move([region.id], to));
  };
  const byName = async () => {
    const said = await askClass("This region is", true);
    if (said?.name) make(said.name);
    else if (said) answer(said.class);
  };
  const make = (name) => after(act("new_class", { name, regions: [region.id] }, `Made “${name}” of 1 region.`));
  const ask = async () => {
    const name = await askText("New class of this region", "", "Make it");
    if (name) make(name);
  };
  useKeys("To look at", OF_VIEW, [
    { keys: ["enter", "y"], label: "it is what is proposed", run: () => region && answer(region.class) },
    ...[...Array(9)].map((_, i) => ({
      keys: [String(i + 1)],
      shown: "1 … 9",
      label: i === 0 ? "it is the class with this number" : "",
      run: () => state.classes.some((one) => one.id === i + 1) && answer(i + 1),
    })),
    { keys: ["x", "0"], label: "it is a false alarm", run: () => answer(0) },
    { keys: ["/"], label: "choose its class by name", run: () => region && void byName() },
    { keys: ["n"], label: "it is a new class", run: () => region && void ask() },
    { keys: ["space", "arrowright"], label: "skip it", run: () => step(1) },
    { keys: ["arrowleft"], label: "back", run: () => step(-1) },
    { keys: ["o"], label: "open its image", run: () => region && go(toImage(region.image, region.id)) },
  ]);
  const head = html`
    <div class="view-head"><h1>To look at</h1>
      <p class="quiet">${list.total === null ? "" : total ? `${at + 1} of ${total}, the most useful first` : "0"}</p>
      <div class="tools">${mode}</div></div>`;
  if (!region) {
    return html`<div class="column">${head}<p class="quiet nothing">${list.total === 0 ? "There is nothing left to look at." : "Loading…"}</p></div>`;
  }
  return html`
    <div class="column">
      ${head}
      <div class="one">
        <figure class="big"><img key=${region.id} src=${picture.region(region.id, 720)} alt=${nameOfRegion(region)} /></figure>
        <${Context} region=${region} />
        <section class="answer" aria-label="What is it?">
          <h2>Is it “${title(classOf(region.class))}”?</h2>
          <${Probabilities} list=${(details.value?.probabilities ?? []).slice(0, 5)} keys=${true} />
          <div class="answers">
            <button class="main" onClick=${() => answer(region.class)}>Yes <kbd>enter</kbd></button>
            ${region.second && region.second.class !== region.class ? html`<button onClick=${() => answer(region.second.class)}>
              <i class="dot" style=${{ "--c": classOf(region.second.class).colour }}></i>${title(classOf(region.second.class))} ${region.second.class <= 9 ? html`<kbd>${region.second.class}</kbd>` : null}</button>` : null}
            <button onClick=${byName}>Another… <kbd>/</kbd></button>
            <button onClick=${() => answer(0)}>False alarm <kbd>x</kbd></button>
            <button onClick=${ask}>New class <kbd>n</kbd></button>
            <button class="quiet-button" onClick=${() => step(1)}>Skip <kbd>space</kbd></button>
          </div>
          <h3>Examples of “${title(classOf(region.class))}”</h3>
          <div class="strip">${(classOf(region.class).examples?.length ? classOf(region.class).examples : classOf(region.class).typical ?? []).slice(0, 6).map((id) => html`<span key=${id}><${Thumb} address=${picture.region(id)} side=${64} /></span>`)}</div>
        </section>
      </div>
    </div>`;
}

export function Ask() {
  const [mode, setMode] = useState("one");
  const choice = html`<${Choice} label="How to look" value=${mode} onChange=${setMode} options=${[["one", "One at a time"], ["all", "Grid"]]} />`;
  return mode === "one" ? html`<${OneByOne} mode=${choice} />` : html`<${All} mode=${choice} />`;
}
