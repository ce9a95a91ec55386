// One whole image with its regions, what is known of them, and the anomaly map.
import { get, picture, query } from "../api.js";
import { Thumb } from "../grid.js";
import { OF_VIEW, useKeys } from "../keys.js";
import { ClassName, go, Probabilities, Problem, toImage } from "../parts.js";
import { SelectionBar, useSelectionKeys } from "../selecting.js";
import { classOf, select, title, useData, useStore } from "../store.js";
import { count, html, names, percent, useEffect, useState } from "../ui.js";
import { moveImages } from "./images.js";

const ZOOMS = [1, 2, 4];

/** The outlines of one region as the path of an SVG; a box where there is none. */
function path(region, outlines) {
  const polygons = outlines?.[region.id]?.filter((points) => points.length);
  if (polygons?.length) {
    return polygons.map((points) => `M${points.map((point) => point.join(",")).join("L")}Z`).join("");
  }
  const [left, top, right, bottom] = region.box;
  return `M${left},${top}H${right}V${bottom}H${left}Z`;
}

/** The picture of an image with its regions; a click on one selects it. */
export function Picture({ image, outlines, opacity = 0, chosen, onPick, zoom = 1, children }) {
  return html`
    <div class="picture" style=${{ "--ratio": image.width / image.height, "--zoom": zoom }}>
      <img src=${picture.image(image.name)} alt=${`Image ${image.name}`} draggable=${false} />
      ${image.map && opacity > 0 ? html`<img class="overlay" src=${picture.map(image.name)} alt="" style=${{ opacity }} />` : null}
      <svg viewBox=${`0 0 ${image.width} ${image.height}`} preserveAspectRatio="none" aria-label="Regions" role="group">
        ${image.regions.map((region) => html`
          <g key=${region.id} class=${names("region", chosen.has(region.id) && "chosen")} onClick=${(event) => onPick?.(region.id, event)}>
            <path class="under" d=${path(region, outlines)} vector-effect="non-scaling-stroke" />
            <path class="over" d=${path(region, outlines)} vector-effect="non-scaling-stroke" stroke=${classOf(region.class).colour} />
          </g>`)}
      </svg>
      ${children}
    </div>`;
}

function About({ id }) {
  const { value } = useData(`/api/regions/${id}`);
  if (!value) return null;
  return html`
    <section class="about" aria-label="Selected region">
      <h2>Region</h2>
      <div class="about-head"><${Thumb} address=${picture.region(id, 240)} side=${112} />
        <p>${percent(value.confidence)} <${ClassName} id=${value.class} />
          <br />${value.said === null ? "proposed, not confirmed" : "confirmed by a person"}
          <br />area ${value.area} px, score ${value.score.toFixed(2)}${value.unseen ? html`<br />unlike all classes` : null}</p></div>
      <${Probabilities} list=${value.probabilities.slice(0, 6)} keys=${true} />
      ${value.attention ? html`<figure class="attention"><img src=${picture.attention(id)} alt="Where the model looks in this region" />
        <figcaption class="quiet">Where the model looks: the region, before and with guidance</figcaption></figure>` : null}
      <${Story} list=${value.history} />
    </section>`;
}

const Story = ({ list }) =>
  list.length ? html`<h3>History</h3><ul class="story">${list.map((text, i) => html`<li key=${i}>${text}</li>`)}</ul>` : null;

export function ImageView({ name, region }) {
  const { selection } = useStore();
  const [opacity, setOpacity] = useState(0);
  const [outlines, setOutlines] = useState(null);
  const [zoom, setZoom] = useState(1);
  const { value: image, error } = useData(`/api/image?${query({ name })}`);
  useEffect(() => {
    let wanted = true;
    setOutlines(null);
    get(`/picture/outlines.json?${query({ name })}`).then((answer) => wanted && setOutlines(answer.regions), () => {});
    return () => {
      wanted = false;
    };
  }, [name]);
  useEffect(() => {
    if (region !== undefined) select([Number(region)]);
  }, [name, region]);
  const to = (other) => other && go(toImage(other));
  const pick = (id, event) => {
    if (!(event.ctrlKey || event.metaKey || event.shiftKey)) return select(selection.size === 1 && selection.has(id) ? [] : [id]);
    const next = new Set(selection);
    if (!next.delete(id)) next.add(id);
    return select(next);
  };
  const step = (by) => {
    const ids = image?.regions.map((one) => one.id) ?? [];
    if (!ids.length) return;
    const at = ids.findIndex((id) => selection.has(id));
    select([ids[at < 0 ? 0 : (at + by + ids.length) % ids.length]]);
  };
  const shown = (id) => image?.regions.find((one) => one.id === id)?.class;
  useSelectionKeys({ all: async () => image?.regions.map((one) => one.id) ?? [], where: "of this image", shown });
  useKeys("Image", OF_VIEW, [
    { keys: ["arrowright"], label: "next image", run: () => void to(image?.next) },
    { keys: ["arrowleft"], label: "previous image", run: () => void to(image?.previous) },
    { keys: ["arrowdown", "space"], label: "next region", run: () => step(1) },
    { keys: ["arrowup"], label: "previous region", run: () => step(-1) },
    {
      keys: ["escape"],
      label: "back, where nothing is selected",
      run: () => (selection.size ? false : history.back()),
    },
    { keys: ["m"], label: "anomaly map on and off", run: () => setOpacity(opacity ? 0 : 1) },
    { keys: ["z"], label: "larger, and back to the whole image", run: () => setZoom(ZOOMS[(ZOOMS.indexOf(zoom) + 1) % ZOOMS.length]) },
  ]);
  if (!image) return html`<div class="column"><${Problem} text=${error} /></div>`;
  const about = selection.size === 1 ? [...selection][0] : null;
  return html`
    <section class="middle" aria-label=${`Image ${name}`}>
      <div class="view-head">
        <h1 class="file">${name}</h1>
        <p class="quiet">${image.width} × ${image.height} px, ${count(image.regions.length, "region")}</p>
        <div class="tools">
          ${image.map ? html`<label class="inline">Anomaly map
            <input type="range" min="0" max="1" step="0.05" value=${opacity} onInput=${(event) => setOpacity(Number(event.target.value))} /></label>` : null}
          <button onClick=${() => setZoom(ZOOMS[(ZOOMS.indexOf(zoom) + 1) % ZOOMS.length])}>${zoom}× <kbd>z</kbd></button>
          <button disabled=${!image.previous} onClick=${() => to(image.previous)} aria-label="Previous image">←</button>
          <button disabled=${!image.next} onClick=${() => to(image.next)} aria-label="Next image">→</button>
        </div>
      </div>
      <div class="picture-frame" tabindex="0" role="group" aria-label="Picture">
        <${Picture} image=${image} outlines=${outlines} opacity=${opacity} chosen=${selection} onPick=${pick} zoom=${zoom} />
      </div>
      <${SelectionBar} shown=${shown} opens=${false} />
    </section>
    <aside class="side" aria-label="About this image">
      <section>
        <h2>Image</h2>
        <${Probabilities} list=${image.probabilities.slice(0, 5)} />
        <div class="answers"><button onClick=${() => moveImages([name])}>Move the whole image…</button></div>
        <${Story} list=${image.history} />
      </section>
      <section>
        <h2>Regions</h2>
        <ul class="region-list">${image.regions.map((one) => html`
          <li key=${one.id}><button class=${names("bare", selection.has(one.id) && "on")} aria-pressed=${selection.has(one.id) ? "true" : "false"}
            onClick=${(event) => pick(one.id, event)}>
            <${Thumb} address=${picture.region(one.id)} side=${44} />
            <span><i class="dot" style=${{ "--c": classOf(one.class).colour }}></i>${title(classOf(one.class))}</span>${" "}
            <span class="value">${one.said === null ? percent(one.confidence) : "✓"}</span></button></li>`)}</ul>
      </section>
      ${about !== null ? html`<${About} key=${about} id=${about} />` : null}
    </aside>`;
}
