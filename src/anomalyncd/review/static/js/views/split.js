// A proposal to split a class: its parts side by side, to accept, change or cancel.
import { Grid } from "../grid.js";
import { get, picture } from "../api.js";
import { OF_VIEW, useKeys } from "../keys.js";
import { Choice, go, Problem } from "../parts.js";
import { Thumb } from "../grid.js";
import { act, classOf, store, title, toast } from "../store.js";
import { count, html, useEffect, useMemo, useState } from "../ui.js";

/** Names for new parts that no class has yet. */
function freeNames(name, n) {
  const taken = new Set(store.state.classes.map((one) => one.name.toLowerCase()));
  const found = [];
  for (let i = 2; found.length < n; i++) {
    const tried = `${name} ${i}`;
    if (!taken.has(tried.toLowerCase())) found.push(tried);
  }
  return found;
}

/** As the label book compares names: blanks and the case do not count. */
const folded = (name) => name.trim().replace(/\s+/g, " ").toLowerCase();

/** The part that has the name of a later one, or -1. */
const sameName = (titles, index) => titles.findIndex((name, i) => i < index && name.trim() && folded(name) === folded(titles[index]));

/** A list in memory, as the grid wants it. */
export function listOf(ids, address) {
  const items = ids.map((id) => ({ id }));
  return {
    address,
    stamp: 0,
    total: items.length,
    at: (place) => items[place],
    ensure: async () => {},
    slice: async (from, to) => items.slice(from, to + 1),
  };
}

function Part({ ids, index, titles, onName, selection, onSelect, onSend, targets }) {
  const list = useMemo(() => listOf(ids, `part ${index}`), [ids]);
  const name = titles[index];
  const same = sameName(titles, index);
  return html`
    <section class="part" aria-label=${`Part ${index + 1}`}>
      <div class="part-head">
        ${index === 0
          ? html`<h2>stays “${name}”</h2>`
          : html`<input class="field" aria-label=${`Name of part ${index + 1}`} maxlength="80" value=${name} onInput=${(event) => onName(event.target.value)} />`}
        <span class="quiet">${count(ids.length, "region")}</span>
        ${selection.size ? targets.map((to) => html`<button key=${to} onClick=${() => onSend(to)}>Move ${selection.size} to part ${to + 1}</button>`) : null}
        <${Problem} text=${same < 0 ? "" : `Part ${same + 1} has this name already: choose another one.`} />
      </div>
      <${Grid} list=${list} side=${112} caption=${0} label=${`Regions of part ${index + 1}`} selection=${selection} onSelect=${onSelect}
        draw=${(item, width) => html`<${Thumb} address=${picture.region(item.id)} side=${width} />`}
        name=${(item) => `region ${item.id}`} empty="Empty." />
    </section>`;
}

export function SplitView({ id }) {
  const one = classOf(id);
  const [n, setN] = useState(2);
  const [parts, setParts] = useState(null);
  const [titles, setTitles] = useState([]);
  const [error, setError] = useState("");
  const [chosen, setChosen] = useState([]);
  useEffect(() => {
    let wanted = true;
    setParts(null);
    get(`/api/classes/${id}/split?parts=${n}`).then(
      (answer) => {
        if (!wanted) return;
        setParts(answer.parts);
        setTitles([title(one), ...freeNames(one.name, answer.parts.length - 1)]);
        setChosen(answer.parts.map(() => new Set()));
      },
      (problem) => wanted && setError(problem.message),
    );
    return () => {
      wanted = false;
    };
  }, [id, n]);
  const back = () => go(`#/class/${id}`);
  const accept = async () => {
    if (!parts || parts.length < 2) return;
    const names = titles.slice(1).map((name) => name.trim());
    if (names.some((name) => !name)) return toast("Each part needs a name.", { wrong: true });
    if (titles.some((_, index) => sameName(titles, index) >= 0)) return toast("Two parts have the same name: choose another one.", { wrong: true });
    if (parts.some((ids) => !ids.length)) return toast("A part is empty: move regions to it, or cancel.", { wrong: true });
    const named = Object.fromEntries(names.map((name, i) => [name, parts[i + 1]]));
    const facts = { class: id, remaining: parts[0], parts: named };
    if (await act("split", facts, `Split “${title(one)}” into ${parts.length} classes.`)) back();
  };
  const send = (from, to) => {
    const moved = chosen[from];
    setParts(parts.map((ids, i) => {
      if (i === from) return ids.filter((region) => !moved.has(region));
      return i === to ? [...ids, ...moved] : ids;
    }));
    setChosen(parts.map(() => new Set()));
  };
  useKeys("Split", OF_VIEW, [
    { keys: ["enter"], label: "accept the proposal", run: () => void accept() },
    { keys: ["escape"], label: "cancel", run: back },
    ...[2, 3, 4].map((k) => ({ keys: [String(k)], shown: "2 … 4", label: k === 2 ? "number of parts" : "", run: () => setN(k) })),
  ]);
  return html`
    <div class="split">
      <div class="view-head">
        <h1><i class="dot" style=${{ "--c": one.colour }}></i>Split “${title(one)}”?</h1>
        <p class="quiet">A proposal by similarity. Nothing changes until you accept. Select regions to move them to another part.</p>
        <div class="tools">
          <${Choice} label="Number of parts" value=${n} onChange=${setN} options=${[[2, "2"], [3, "3"], [4, "4"]]} />
          <button onClick=${back}>Cancel <kbd>esc</kbd></button>
          <button class="main" disabled=${!parts || parts.length < 2} onClick=${accept}>Accept <kbd>enter</kbd></button>
        </div>
      </div>
      <${Problem} text=${error} />
      ${parts ? html`<div class="parts">${parts.map((ids, index) => html`
        <${Part} key=${`${n}-${index}`} ids=${ids} index=${index} titles=${titles} selection=${chosen[index] ?? new Set()}
          targets=${parts.map((_, i) => i).filter((i) => i !== index)}
          onSend=${(to) => send(index, to)}
          onSelect=${(some) => setChosen(chosen.map((set, i) => (i === index ? new Set(some) : new Set())))}
          onName=${(name) => setTitles(titles.map((old, i) => (i === index ? name : old)))} />`)}</div>`
        : error ? null : html`<p class="quiet">Looking for parts…</p>`}
    </div>`;
}
