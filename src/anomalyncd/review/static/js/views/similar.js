// The classes most similar to the one in view: a walk through what could be merged.
import { Strip } from "../parts.js";
import { classOf, title } from "../store.js";
import { count, html, names } from "../ui.js";

const cosine = (value) => value.toFixed(2).replace("-", "−");

export function Similar({ one, candidates, candidate, onPick, onMerge, onNext }) {
  if (one.id === 0) return html`<p class="quiet">False alarms are not compared with the classes of defects.</p>`;
  if (!candidate) return html`<p class="quiet">There is no other class to compare with.</p>`;
  const shown = classOf(candidate.id);
  return html`
    <div class="candidate" style=${{ "--c": shown.colour }} aria-live="polite">
      <h2><i class="dot" style=${{ "--c": shown.colour }}></i><a href=${`#/class/${shown.id}`}>${title(shown)}</a></h2>
      <p class="quiet">${count(shown.n_regions, "region")}, similarity ${cosine(candidate.similarity)}</p>
      <${Strip} ids=${shown.typical} label=${`Typical of ${title(shown)}`} />
      <${Strip} ids=${shown.borderline} label=${`Least sure of ${title(shown)}`} />
      <div class="answers">
        <button class="main" onClick=${onMerge}>Merge into “${title(one)}” <kbd>g</kbd></button>
        <button onClick=${onNext}>Next <kbd>space</kbd></button>
      </div>
    </div>
    <ol class="candidates" aria-label="Classes, most similar first">
      ${candidates.map((other, place) => html`
        <li key=${other.id}>
          <button class=${names("bare", other.id === candidate.id && "on")} aria-pressed=${other.id === candidate.id ? "true" : "false"} onClick=${() => onPick(place)}>
            <i class="dot" style=${{ "--c": classOf(other.id).colour }}></i><span>${title(classOf(other.id))}</span>
            <span class="value">${cosine(other.similarity)}</span>
          </button>
        </li>`)}
    </ol>`;
}
