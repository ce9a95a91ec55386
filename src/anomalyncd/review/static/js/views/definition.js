// What a class is: name, description, colour, what it means for an image, examples.
import { picture } from "../api.js";
import { Thumb } from "../grid.js";
import { act, title, toast } from "../store.js";
import { html } from "../ui.js";

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

export function Definition({ one, onExample }) {
  const fixed = one.id === 0;
  const save = (facts, done) => act("edit", { class: one.id, ...facts }, done);
  const text = (field, said) => ({
    value: one[field],
    onChange: (event) => {
      const value = event.target.value.trim();
      if (value === one[field] || (field === "name" && !value)) event.target.value = one[field];
      else save({ [field]: value }, said(value)).then((done) => done || (event.target.value = one[field]));
    },
  });
  const cost = (event) => {
    const value = Number(event.target.value);
    if (event.target.value === "" || !(value >= 0)) {
      event.target.value = one.escape_cost ?? "";
      return toast("An escape cost is a number from 0 on.", { wrong: true });
    }
    return save({ escape_cost: value }, `An escape of “${title(one)}” costs ${value}.`);
  };
  return html`
    <div class="definition">
      <label>Name
        <input class="field" maxlength="80" disabled=${fixed} ...${text("name", (v) => `“${one.name}” is called “${v}” now.`)} /></label>
      <label>Description
        <textarea class="field" rows="3" placeholder="How to recognise it, and where it comes from" ...${text("description", () => "Saved the description.")}></textarea></label>
      <div class="pair">
        <label>It is
          <select class="field" disabled=${fixed} value=${one.kind} onChange=${(event) => save({ kind: event.target.value }, `“${title(one)}”: ${event.target.value}.`)}>
            ${KINDS.map(([key, shown]) => html`<option key=${key} value=${key} selected=${key === one.kind}>${shown}</option>`)}</select></label>
        <label>Colour
          <input type="color" class="field" value=${one.colour} onChange=${(event) => save({ colour: event.target.value }, "Changed the colour.")} /></label>
      </div>
      <div class="pair">
        <label>Severity
          <select class="field" value=${one.severity} onChange=${(event) => save({ severity: event.target.value }, `Severity: ${event.target.value || "not said"}.`)}>
            ${SEVERITIES.map(([key, shown]) => html`<option key=${key} value=${key} selected=${key === one.severity}>${shown}</option>`)}</select></label>
        <label>Cost of an escape
          <input type="number" min="0" step="any" class="field" value=${one.escape_cost ?? ""} onChange=${cost} /></label>
      </div>
      <${Examples} one=${one} which="examples" text="Examples" letter="e" onAdd=${onExample} hint="Regions that show the class well." />
      <${Examples} one=${one} which="counter_examples" text="Counter-examples" letter="c" onAdd=${onExample} hint="Regions that resemble it and do not belong to it." />
    </div>`;
}
