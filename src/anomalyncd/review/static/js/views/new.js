// Regions unlike all classes, and proposals for new classes among them.
import { picture } from "../api.js";
import { Grid, Thumb } from "../grid.js";
import { usePages } from "../paging.js";
import { go, nameOfRegion, RegionCell, tintOfRegion, toImage } from "../parts.js";
import { SelectionBar, useSelectionKeys } from "../selecting.js";
import { act, select, useData, useStore } from "../store.js";
import { count, html, useState } from "../ui.js";
import { idsOf } from "./ask.js";

const SHOWN = 10;

function Proposal({ proposal }) {
  const [name, setName] = useState(proposal.suggestion);
  const ids = proposal.regions;
  const accept = (event) => {
    event.preventDefault();
    const chosen = name.trim();
    if (chosen) act("new_class", { name: chosen, regions: ids }, `Made “${chosen}” of ${count(ids.length, "region")}.`);
  };
  return html`
    <form class="proposal" onSubmit=${accept} aria-label=${`Proposal ${proposal.suggestion}`}>
      <div class="strip">${ids.slice(0, SHOWN).map((id) => html`<span key=${id}><${Thumb} address=${picture.region(id)} side=${72} /></span>`)}
        ${ids.length > SHOWN ? html`<span class="more quiet">and ${ids.length - SHOWN} more</span>` : null}</div>
      <div class="proposal-foot">
        <span class="quiet">${count(ids.length, "region")}</span>
        <input class="field" aria-label="Name of the new class" maxlength="80" value=${name} onInput=${(event) => setName(event.target.value)} />
        <button class="main" disabled=${!name.trim()}>Accept</button>
        <button type="button" onClick=${() => select(ids)}>Select</button>
      </div>
    </form>`;
}

export function New() {
  const { selection } = useStore();
  const list = usePages("/api/regions?view=new");
  const { value } = useData("/api/proposals");
  const proposals = value?.items ?? [];
  const shown = (id) => list.classes.get(id);
  useSelectionKeys({ all: () => idsOf(list), where: "that are new", shown });
  return html`
    <div class="column">
      <div class="view-head"><h1>New</h1><p class="quiet">${list.total === null ? "" : count(list.total, "region")} unlike all classes</p></div>
      ${proposals.length ? html`<section class="proposals" aria-label="Proposals for new classes" tabindex="0">${proposals.map((one) => html`
        <${Proposal} key=${`${one.suggestion} ${one.regions[0]}`} proposal=${one} />`)}</section>` : null}
      <${Grid} list=${list} side=${132} label="Regions unlike all classes" selection=${selection} onSelect=${select}
        draw=${(region, width) => html`<${RegionCell} region=${region} side=${width} />`} name=${nameOfRegion} tint=${tintOfRegion}
        onOpen=${(region) => go(toImage(region.image, region.id))} empty="No region is unlike all classes." />
      <${SelectionBar} shown=${shown} />
    </div>`;
}
