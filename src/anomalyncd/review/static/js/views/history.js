// All that was done, the latest first.
import { undo, useData, useStore } from "../store.js";
import { Problem } from "../parts.js";
import { html } from "../ui.js";

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function written(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? time : when.format(date);
}

export function History() {
  const { state } = useStore();
  const { value, error } = useData("/api/history");
  const items = [...(value?.items ?? [])].sort((one, other) => other.number - one.number);
  return html`
    <div class="page-scroll narrow">
      <div class="view-head">
        <h1>History</h1>
        <button disabled=${!state.undoable} onClick=${undo}>${state.undoable ? `Undo: ${state.undoable}` : "Nothing to undo"}</button>
      </div>
      <${Problem} text=${error} />
      <table class="history">
        <thead><tr><th scope="col">No.</th><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th></tr></thead>
        <tbody>${items.map((one) => html`
          <tr key=${one.number}><td>${one.number}</td><td><time datetime=${one.time}>${written(one.time)}</time></td>
          <td>${one.author}</td><td>${one.text}</td></tr>`)}</tbody>
      </table>
    </div>`;
}
