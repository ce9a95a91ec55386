// All classes as cards.
import { askClass } from "../dialogs.js";
import { OF_VIEW, useKeys } from "../keys.js";
import { go, Spark, Strip, toImage } from "../parts.js";
import { title, useStore } from "../store.js";
import { count, html, number } from "../ui.js";
import { get } from "../api.js";

const NAMELESS = /^(class|new kind) \d+$/;

async function openRegion(id) {
  const region = await get(`/api/regions/${id}`);
  go(toImage(region.image, id));
}

function Card({ one }) {
  return html`
    <article class="card" style=${{ "--c": one.colour }} aria-labelledby=${`card-${one.id}`}>
      <header>
        <h3 id=${`card-${one.id}`}><a href=${`#/class/${one.id}`}><i class="dot" style=${{ "--c": one.colour }}></i>${title(one)}</a></h3>
        ${one.id <= 9 ? html`<kbd title="key that moves regions here">${one.id}</kbd>` : null}
      </header>
      <p class="facts">
        <b>${number(one.n_regions)}</b> ${one.n_regions === 1 ? "region" : "regions"} on ${count(one.n_images, "image")}
        ${one.n_said ? html` · <span class="said-count">✓ ${number(one.n_said)} confirmed</span>` : null}
        ${one.severity ? html` · <span class="severity" data-severity=${one.severity}>${one.severity}</span>` : null}
      </p>
      ${one.n_regions === 0
        ? html`<p class="quiet">No region is in this class.</p>`
        : html`
          <${Strip} ids=${one.typical} label=${`Typical of ${title(one)}`} onPick=${openRegion} />
          <div class="foot">
            <div><h4>Least sure</h4><${Strip} ids=${one.borderline} label=${`Least sure of ${title(one)}`} onPick=${openRegion} /></div>
            <div class="trend"><h4>Over the images</h4><${Spark} counts=${one.trend} /></div>
          </div>`}
    </article>`;
}

const GROUPS = [
  ["defect", "Defects", ""],
  ["not a defect", "Not a defect", "An image that shows nothing else is a good one."],
  ["ignored", "Ignored", "Does not count at all."],
];

export function Classes() {
  const { state } = useStore();
  useKeys("Classes", OF_VIEW, [
    {
      keys: ["/"],
      label: "go to a class",
      run: async () => {
        const answer = await askClass("Go to a class");
        if (answer) go(`#/class/${answer.class}`);
      },
    },
    { keys: ["enter"], label: "", run: () => false },
    ...[...Array(10)].map((_, i) => ({
      keys: [String(i)],
      shown: "0 … 9",
      label: i === 0 ? "open the class with this number" : "",
      run: () => state.classes.some((one) => one.id === i) && go(`#/class/${i}`),
    })),
  ]);
  const defects = state.classes.filter((one) => one.kind === "defect");
  const said = state.classes.reduce((sum, one) => sum + one.n_said, 0);
  const nameless = defects.filter((one) => NAMELESS.test(one.name)).length;
  return html`
    <div class="classes">
      <div class="view-head">
        <h1>Classes</h1>
        <p class="quiet">${count(state.n_images, "image")}, ${count(state.n_regions, "region")}, ${count(defects.length, "class", "classes")} of defects.
          ${said ? ` ${count(said, "region")} confirmed by a person.` : ""}
          ${nameless ? ` ${nameless === 1 ? "1 class has" : `${nameless} classes have`} no name yet.` : ""}</p>
      </div>
      ${GROUPS.map(([kind, text, says]) => {
        const some = state.classes.filter((one) => one.kind === kind);
        return some.length ? html`
          <section key=${kind} aria-label=${text} class="group">
            <h2>${text} <span class="quiet">${says}</span></h2>
            <div class="cards">${some.map((one) => html`<${Card} key=${one.id} one=${one} />`)}</div>
          </section>` : null;
      })}
    </div>`;
}
