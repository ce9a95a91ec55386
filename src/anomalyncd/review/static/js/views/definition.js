// What a class is: name, description, colour, what it means for an image, examples.
import { picture } from "../api.js";
import { Thumb } from "../grid.js";
import { act, title, toast } from "../store.js";
import { html, useEffect, useState } from "../ui.js";

const KINDS = [["defect", "a defect"], ["not a defect", "not a defect"], ["ignored", "ignored"]];
const SEVERITIES = [["", "not said"], ["minor", "minor"], ["major", "major"], ["critical", "critical"]];

function Examples({ one, which, text, hint, letter, onAdd }) {
  const ids = one[which];
  const without = (id) => {
    const left = ids.filter((other) => other !== id);
    return act("edit", { class: one.id, [which]: left }, "Took 1 picture away.");
  };
  return html`
    <fieldset class="examples">
      <legend>${text}</legend>
      ${ids.length ? html`<div class="strip">${ids.map((id, i) => html`
        <button key=${id} class="bare" aria-label=${`Take ${text.toLowerCase()} ${i + 1} away`} title="Take away" onClick=${() => without(id)}>
          <${Thumb} address=${picture.region(id)} side=${60} /><span class="remove" aria-hidden="true">×</span></button>`)}</div>`
        : html`<p class="quiet">${hint}</p>`}
      <div class="answers"><button onClick=${() => onAdd(which)}>Add the selected <kbd>${letter}</kbd></button></div>
    </fieldset>`;
}

/**
 * What a person writes into a field before it is saved; the field shows it however often the page
 * is drawn meanwhile. `save` gets the text, and returns whether it was saved.
 */
function useDraft(saved, save) {
  const [draft, set] = useState(saved);
  useEffect(() => set(saved), [saved]);
  return {
    value: draft,
    onInput: (event) => set(event.target.value),
    onChange: async (event) => (await save(event.target.value)) || set(saved),
  };
}

export function Definition({ one, onExample }) {
  const fixed = one.id === 0;
  const save = (facts, done) => act("edit", { class: one.id, ...facts }, done);
  const text = (field, said) => (written) => {
    const value = written.trim();
    if (value === one[field] || (field === "name" && !value)) return null;
    return save({ [field]: value }, said(value));
  };
  const name = useDraft(one.name, text("name", (value) => `“${one.name}” is called “${value}” now.`));
  const description = useDraft(one.description, text("description", () => "Saved the description."));
  const colour = useDraft(one.colour, (value) => save({ colour: value }, "Changed the colour."));
  const cost = useDraft(one.escape_cost ?? "", (written) => {
    const empty = written === "";
    const value = empty ? null : Number(written);
    if (!empty && !(value >= 0)) return toast("An escape cost is a number from 0 on.", { wrong: true });
    const done = `An escape of “${title(one)}” ${empty ? "has no cost now" : `costs ${value}`}.`;
    return save({ escape_cost: value }, done);
  });
  return html`
    <div class="definition">
      <label>Name
        <input class="field" maxlength="80" disabled=${fixed} ...${name} /></label>
      <label>Description
        <textarea class="field" rows="3" placeholder="How to recognise it, and where it comes from" ...${description}></textarea></label>
      <div class="pair">
        <label>It is
          <select class="field" disabled=${fixed} value=${one.kind} onChange=${(event) => save({ kind: event.target.value }, `“${title(one)}”: ${event.target.value}.`)}>
            ${KINDS.map(([key, shown]) => html`<option key=${key} value=${key} selected=${key === one.kind}>${shown}</option>`)}</select></label>
        <label>Colour
          <input type="color" class="field" ...${colour} /></label>
      </div>
      <div class="pair">
        <label>Severity
          <select class="field" value=${one.severity} onChange=${(event) => save({ severity: event.target.value }, `Severity: ${event.target.value || "not said"}.`)}>
            ${SEVERITIES.map(([key, shown]) => html`<option key=${key} value=${key} selected=${key === one.severity}>${shown}</option>`)}</select></label>
        <label>Cost of an escape
          <input type="number" min="0" step="any" class="field" ...${cost} /></label>
      </div>
      <${Examples} one=${one} which="examples" text="Examples" letter="e" onAdd=${onExample} hint="Regions that show the class well." />
      <${Examples} one=${one} which="counter_examples" text="Counter-examples" letter="c" onAdd=${onExample} hint="Regions that resemble it and do not belong to it." />
    </div>`;
}
