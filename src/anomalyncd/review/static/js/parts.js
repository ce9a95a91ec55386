// Small parts that several views draw.
import { picture } from "./api.js";
import { Thumb } from "./grid.js";
import { classOf, title } from "./store.js";
import { html, names, percent } from "./ui.js";

export const go = (hash) => {
  location.hash = hash;
};

export const toImage = (name, region) =>
  `#/image/${encodeURIComponent(name)}${region === undefined ? "" : `?region=${region}`}`;

export const Dot = ({ id }) =>
  html`<i class="dot" style=${{ "--c": classOf(id).colour }} aria-hidden="true"></i>`;

/** The colour and name of a class, as a link to it. */
export const ClassName = ({ id }) =>
  html`<a class="class-name" href=${`#/class/${id}`}><${Dot} id=${id} /><span>${title(classOf(id))}</span></a>`;

/** What a cell of a grid shows of a region. */
export function RegionCell({ region, side }) {
  const marks = [
    region.said !== null && html`<span class="mark said" title="confirmed by a person">✓</span>`,
    region.unseen && html`<span class="mark unseen" title="unlike all classes"></span>`,
  ];
  return html`
    <${Thumb} address=${picture.region(region.id, side > 220 ? 480 : 144)} side=${side} />
    <span class="caption">
      <span class="bar"><i style=${{ width: `${100 * region.confidence}%` }}></i></span>
      <span class="value">${percent(region.confidence)}</span>
      ${marks}
    </span>`;
}

/** A region in words, for screen readers. */
export const nameOfRegion = (region) =>
  [
    `${title(classOf(region.class))}, ${percent(region.confidence)}`,
    region.said !== null && "confirmed by a person",
    region.unseen && "unlike all classes",
    `on image ${region.image}`,
  ]
    .filter(Boolean)
    .join(", ");

export const tintOfRegion = (region) => classOf(region.class).colour;

/** Probabilities of classes as bars. */
export const Probabilities = ({ list, keys = false }) => html`
  <ul class="probabilities">
    ${list.map((one) => html`
      <li key=${one.class}>
        <${ClassName} id=${one.class} />
        ${keys && one.class <= 9 ? html`<kbd>${one.class}</kbd>` : null}
        <span class="bar"><i style=${{ width: `${100 * one.probability}%`, background: classOf(one.class).colour }}></i></span>
        <span class="value">${percent(one.probability)}</span>
      </li>`)}
  </ul>`;

/** A line of counts over the images in their order. */
export function Spark({ counts }) {
  const most = Math.max(...counts, 1);
  if (counts.length < 2 || !counts.some((n) => n)) return html`<span class="spark"></span>`;
  const step = 100 / (counts.length - 1);
  const points = counts.map((n, i) => `${(i * step).toFixed(1)},${(22 - (20 * n) / most).toFixed(1)}`);
  return html`
    <svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img"
      aria-label=${`Regions over the images in their order: at most ${most} in one of ${counts.length} parts`}>
      <path class="area" d=${`M0,23 L${points.join(" L")} L100,23 Z`} />
      <path class="line" d=${`M${points.join(" L")}`} vector-effect="non-scaling-stroke" />
    </svg>`;
}

/** A row of pictures of regions; `onPick` makes each a button. */
export const Strip = ({ ids, side, label, onPick }) => html`
  <div class="strip" role="group" aria-label=${label}>
    ${ids.map((id, i) => {
      const shown = html`<${Thumb} address=${picture.region(id)} side=${side} />`;
      return onPick
        ? html`<button key=${id} class="bare" aria-label=${`${label} ${i + 1}`} onClick=${() => onPick(id)}>${shown}</button>`
        : html`<span key=${id}>${shown}</span>`;
    })}
  </div>`;

/** One of a few values, as a row of buttons. */
export const Choice = ({ label, value, options, onChange }) => html`
  <div class="choice" role="group" aria-label=${label}>
    ${options.map(([key, text]) => html`
      <button key=${key} class=${names(key === value && "on")} aria-pressed=${key === value ? "true" : "false"}
        onClick=${() => onChange(key)}>${text}</button>`)}
  </div>`;

export const Problem = ({ text }) => (text ? html`<p class="problem" role="alert">${text}</p>` : null);
