// All regions as points, similar ones close to each other; a lasso selects.
import { get, picture } from "../api.js";
import { Thumb } from "../grid.js";
import { OF_VIEW, useKeys } from "../keys.js";
import { Choice, go, Problem, toImage } from "../parts.js";
import { Plane } from "../plane.js";
import { SelectionBar, useSelectionKeys } from "../selecting.js";
import { classOf, select, store, title, useData, useStore } from "../store.js";
import { count, html, names, number, percent, useEffect, useMemo, useRef, useState } from "../ui.js";

const SHOWN = 30; // Pictures of the selection at the side.

/** The class of each point and of each region, and the indices of points by class. */
function byClass(ids, assignment) {
  const classOfId = new Map(assignment.ids.map((id, i) => [id, assignment.classes[i]]));
  const classes = ids.map((id) => classOfId.get(id) ?? 0);
  const groups = new Map();
  classes.forEach((one, i) => {
    if (!groups.has(one)) groups.set(one, []);
    groups.get(one).push(i);
  });
  return { classes, classOfId, groups };
}

function Hovered({ id }) {
  const { value } = useData(`/api/regions/${id}`);
  return html`
    <div class="hovered"><${Thumb} address=${picture.region(id)} side=${120} />
      ${value ? html`<span><i class="dot" style=${{ "--c": classOf(value.class).colour }}></i>${title(classOf(value.class))}, ${percent(value.confidence)}</span>` : null}</div>`;
}

export function MapView() {
  const { state, selection } = useStore();
  const projection = useData("/api/projection");
  const assignment = useData("/api/assignment");
  const points = useRef(null);
  const over = useRef(null);
  const frame = useRef(null);
  const lasso = useRef(null);
  const fingers = useRef(new Map());
  const [size, setSize] = useState([0, 0]);
  const [tick, draw] = useState(0);
  const [hidden, setHidden] = useState(new Set());
  const [hovered, setHovered] = useState(null);
  const [mode, setMode] = useState("lasso");
  const known = projection.value;
  const version = known ? `${known.ids.length} ${known.x[0]} ${known.y[0]}` : "";
  const plane = useMemo(() => (known ? new Plane(known.x, known.y) : null), [version]);
  const ids = known?.ids ?? [];
  const classes = useMemo(
    () => (known && assignment.value ? byClass(ids, assignment.value) : { classes: [], classOfId: new Map(), groups: new Map() }),
    [version, assignment.value],
  );
  const shown = (i) => !hidden.has(classes.classes[i]);

  useEffect(() => {
    if (!frame.current) return undefined;
    const watch = new ResizeObserver(([entry]) => {
      setSize([Math.floor(entry.contentRect.width), Math.floor(entry.contentRect.height)]);
    });
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, [plane]);
  useEffect(() => {
    if (!plane || !size[0]) return undefined;
    const request = requestAnimationFrame(() => {
      plane.resize(...size);
      const context = cleared(points.current, size);
      const groups = [...classes.groups].filter(([id]) => !hidden.has(id));
      groups.sort(([one], [other]) => (one === 0 ? -1 : other === 0 ? 1 : one - other));
      const side = ids.length > 5000 ? 3 : 6;
      plane.draw(context, groups.map(([id, indices]) => [classOf(id).colour, indices]), side * Math.min(2, plane.scale ** 0.3));
      drawOver();
    });
    return () => cancelAnimationFrame(request);
  }, [plane, size, classes, hidden, tick, state]);
  useEffect(() => {
    if (plane) drawOver();
  }, [selection]);

  function cleared(canvas, [width, height]) {
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== width * ratio || canvas.height !== height * ratio) {
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }
  function drawOver() {
    const context = cleared(over.current, size);
    const ink = getComputedStyle(frame.current).color;
    if (store.selection.size) {
      const chosen = [];
      ids.forEach((id, i) => store.selection.has(id) && chosen.push(i));
      const side = ids.length > 5000 ? 6 : 10;
      plane.draw(context, [[ink, chosen]], side);
      plane.draw(context, [...classes.groups].map(([id]) => [classOf(id).colour, chosen.filter((i) => classes.classes[i] === id)]), side - 3);
    }
    if (lasso.current?.length > 1) {
      context.beginPath();
      lasso.current.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
      context.globalAlpha = 0.12;
      context.fillStyle = ink;
      context.fill();
      context.globalAlpha = 1;
      context.strokeStyle = ink;
      context.lineWidth = 1.5;
      context.stroke();
    }
  }
  const at = (event) => {
    const box = over.current.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  function down(event) {
    over.current.setPointerCapture(event.pointerId);
    fingers.current.set(event.pointerId, at(event));
    setHovered(null);
    lasso.current = mode === "lasso" && event.button === 0 && fingers.current.size === 1 ? [at(event)] : null;
  }
  function moved(event) {
    const place = at(event);
    const before = fingers.current.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse" && plane) {
        const found = plane.nearest(...place, shown);
        setHovered(found < 0 ? null : { id: ids[found], x: place[0], y: place[1] });
      }
      return;
    }
    if (fingers.current.size === 2) {
      const [, other] = [...fingers.current].find(([id]) => id !== event.pointerId);
      const far = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
      plane.zoom(far(place) / Math.max(1, far(before)), ...other);
      draw((n) => n + 1);
    } else if (lasso.current) {
      lasso.current.push(place);
      drawOver();
    } else {
      plane.move(place[0] - before[0], place[1] - before[1]);
      draw((n) => n + 1);
    }
    fingers.current.set(event.pointerId, place);
  }
  function up(event) {
    fingers.current.delete(event.pointerId);
    const polygon = lasso.current;
    lasso.current = null;
    if (!polygon || !plane) return;
    const extent = Math.max(...polygon.map(([x, y]) => Math.hypot(x - polygon[0][0], y - polygon[0][1])));
    let found = plane.inside(polygon, shown);
    if (extent < 5) {
      const one = plane.nearest(...polygon[0], shown);
      found = one < 0 ? [] : [one];
    }
    const chosen = found.map((i) => ids[i]);
    select(event.shiftKey || event.ctrlKey ? [...store.selection, ...chosen] : chosen);
    drawOver();
  }
  const zoom = (factor, place) => {
    plane?.zoom(factor, ...(place ?? size.map((side) => side / 2)));
    draw((n) => n + 1);
  };
  const wheel = (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), at(event));
  };
  const toggle = (id) => {
    const next = new Set(hidden);
    if (!next.delete(id)) next.add(id);
    setHidden(next);
  };
  const all = async () => ids.filter((_, i) => shown(i));
  const shownAs = (id) => classes.classOfId.get(id);
  useSelectionKeys({ all, where: "on the map", shown: shownAs });
  const pan = (dx, dy) => {
    plane?.move(dx, dy);
    draw((n) => n + 1);
  };
  useKeys("Map", OF_VIEW, [
    { keys: ["+", "="], label: "larger", run: () => zoom(1.5) },
    { keys: ["-"], label: "smaller", run: () => zoom(1 / 1.5) },
    { keys: ["z"], label: "show everything", run: () => { plane?.reset(); draw((n) => n + 1); } },
    { keys: ["v"], label: "lasso, or move the map", run: () => setMode(mode === "lasso" ? "move" : "lasso") },
    ...[["arrowleft", 60, 0], ["arrowright", -60, 0], ["arrowup", 0, 60], ["arrowdown", 0, -60]].map(([key, dx, dy]) => ({ keys: [key], run: () => pan(dx, dy) })),
    {
      keys: ["o"],
      label: "open the image of the selected region",
      run: async () => {
        if (selection.size !== 1) return;
        const region = await get(`/api/regions/${[...selection][0]}`);
        go(toImage(region.image, region.id));
      },
    },
  ]);
  const chosen = [...selection];
  return html`
    <section class="middle" aria-label="Map">
      <div class="view-head">
        <h1>Map</h1>
        <p class="quiet">Similar regions lie close to each other. Draw around points to select them.</p>
        <div class="tools">
          <${Choice} label="What dragging does" value=${mode} onChange=${setMode} options=${[["lasso", "Lasso"], ["move", "Move"]]} />
          <button onClick=${() => zoom(1.5)} aria-label="Larger">+</button>
          <button onClick=${() => zoom(1 / 1.5)} aria-label="Smaller">−</button>
          <button onClick=${() => { plane?.reset(); draw((n) => n + 1); }}>All <kbd>z</kbd></button>
        </div>
      </div>
      <${Problem} text=${projection.error} />
      <div class=${names("map-frame", mode)} ref=${frame}>
        ${plane ? html`
          <canvas ref=${points} aria-hidden="true"></canvas>
          <canvas ref=${over} role="img" tabindex="0" aria-label=${`${number(ids.length)} regions as points. The arrow keys move the map, plus and minus change its size; at the side whole classes can be selected.`}
            onPointerDown=${down} onPointerMove=${moved} onPointerUp=${up} onPointerCancel=${up} onPointerLeave=${() => setHovered(null)}
            onWheel=${wheel} onContextMenu=${(event) => event.preventDefault()}></canvas>
          ${hovered ? html`<div class="hover-place" style=${{ left: `${Math.min(hovered.x + 14, size[0] - 150)}px`, top: `${Math.min(hovered.y + 14, size[1] - 170)}px` }}><${Hovered} key=${hovered.id} id=${hovered.id} /></div>` : null}`
          : projection.error ? null : html`<p class="quiet nothing">Arranging the regions…</p>`}
      </div>
      <${SelectionBar} shown=${shownAs} />
    </section>
    <aside class="side" aria-label="Classes and selection">
      <section>
        <h2>Classes</h2>
        <ul class="legend">${state.classes.map((one) => html`
          <li key=${one.id}>
            <label><input type="checkbox" checked=${!hidden.has(one.id)} onChange=${() => toggle(one.id)} />
              <i class="dot" style=${{ "--c": one.colour }}></i><span>${title(one)}</span> <small>${number(one.n_regions)}</small></label>
            <button class="quiet-button" aria-label=${`Select all of ${title(one)}`} onClick=${() => select((classes.groups.get(one.id) ?? []).map((i) => ids[i]))}>Select</button>
          </li>`)}</ul>
      </section>
      <section>
        <h2>Selected</h2>
        ${chosen.length ? html`
          <p class="quiet">${count(chosen.length, "region")}${chosen.length > SHOWN ? `, the first ${SHOWN}` : ""}</p>
          <div class="strip">${chosen.slice(0, SHOWN).map((id) => html`<span key=${id}><${Thumb} address=${picture.region(id)} side=${60} /></span>`)}</div>`
          : html`<p class="quiet">Nothing yet.</p>`}
      </section>
    </aside>`;
}
