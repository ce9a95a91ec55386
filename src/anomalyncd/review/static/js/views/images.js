// All images, or those of one class.
import { picture, query } from "../api.js";
import { askClass } from "../dialogs.js";
import { Grid, Thumb } from "../grid.js";
import { OF_VIEW, useKeys } from "../keys.js";
import { usePages } from "../paging.js";
import { Dot, go, toImage } from "../parts.js";
import { act, classOf, title, toast, useStore } from "../store.js";
import { count, html, percent, useEffect, useMemo, useState } from "../ui.js";

export async function moveImages(names) {
  const answer = await askClass(`Move all regions of ${count(names.length, "image")} to`);
  if (!answer) return null;
  const where = title(classOf(answer.class));
  const facts = { images: names, class: answer.class };
  return act("move_images", facts, `Moved ${count(names.length, "image")} to ${where}.`);
}

export function Images({ of }) {
  const { state } = useStore();
  const pages = usePages(`/api/images?${query({ class: of === "" ? null : of })}`);
  const [chosen, setChosen] = useState(new Set());
  useEffect(() => setChosen(new Set()), [of]);
  const withIds = (item) => item && { ...item, id: item.name };
  // The grid knows items by their id; images have names.
  const list = useMemo(() => ({
    address: pages.address,
    get stamp() { return pages.stamp; },
    get total() { return pages.total; },
    at: (place) => withIds(pages.at(place)),
    ensure: (from, to) => pages.ensure(from, to),
    slice: async (from, to) => (await pages.slice(from, to)).map(withIds),
  }), [pages]);
  const moveChosen = async () => {
    if (!chosen.size) return toast("Select images first.");
    if (await moveImages([...chosen])) setChosen(new Set());
    return true;
  };
  useKeys("Images", OF_VIEW, [
    { keys: ["enter"], label: "open the one selected", run: () => (chosen.size === 1 ? go(toImage([...chosen][0])) : false) },
    { keys: ["/"], label: "move the selected images to a class", run: () => void moveChosen() },
    { keys: ["escape"], label: "select nothing", run: () => (chosen.size ? setChosen(new Set()) : false) },
  ]);
  const draw = (image, width) => html`
    <${Thumb} address=${picture.image(image.name, 320)} side=${width} />
    <span class="caption"><${Dot} id=${image.class} /><span class="name">${image.name}</span>${image.unsure ? html`<span class="mark">?</span>` : null}</span>`;
  return html`
    <div class="column">
      <div class="view-head">
        <h1>Images</h1>
        <p class="quiet">${pages.total === null ? "" : count(pages.total, "image")}</p>
        <div class="tools">
          <label class="inline">of <select class="field" aria-label="Class" onChange=${(event) => go(event.target.value === "" ? "#/images" : `#/images?class=${event.target.value}`)}>
            <option value="" selected=${of === ""}>all classes</option>
            ${state.classes.map((one) => html`<option key=${one.id} value=${one.id} selected=${String(one.id) === of}>${title(one)}</option>`)}</select></label>
        </div>
      </div>
      <${Grid} list=${list} side=${168} caption=${20} label="Images" selection=${chosen} onSelect=${(some) => setChosen(new Set(some))}
        draw=${draw} tint=${(image) => classOf(image.class).colour} onOpen=${(image) => go(toImage(image.name))}
        name=${(image) => `${image.name}, ${title(classOf(image.class))}, ${percent(image.confidence)}, ${count(image.n_regions, "region")}`}
        empty="No image is in this class." />
      ${chosen.size ? html`<div class="selection-bar" role="toolbar" aria-label="Selected images">
        <strong>${count(chosen.size, "image")} selected</strong>
        ${chosen.size === 1 ? html`<button class="main" onClick=${() => go(toImage([...chosen][0]))}>Open <kbd>enter</kbd></button>` : null}
        <button onClick=${moveChosen}>Move to… <kbd>/</kbd></button>
        <button class="quiet-button" onClick=${() => setChosen(new Set())}>Clear <kbd>esc</kbd></button></div>` : null}
    </div>`;
}
