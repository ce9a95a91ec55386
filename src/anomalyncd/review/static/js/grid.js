// A grid of pictures of which only the rows in sight are in the document.
import { OF_GRID, useKeys } from "./keys.js";
import { html, names, useEffect, useLayoutEffect, useRef, useState } from "./ui.js";

const GAP = 6;
const MARGIN = 2; // Rows drawn above and below those in sight.
const LONG_PRESS = 450; // ms
const OWN_ARROWS = "[role=tab], [role=tabpanel], select, aside, .proposals"; // They use arrows themselves.

/** Width inside the padding of an element, px. */
function inner(node) {
  const { paddingLeft, paddingRight } = getComputedStyle(node);
  return node.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
}

/**
 * Props: `list` ({total, at, ensure, slice}, see paging.js), `label`, `side` and `caption` (px),
 * `draw(item)`, `name(item)` for screen readers, `tint(item)` (a colour), `selection` (a set of
 * ids), `onSelect(ids)`, `onOpen(item)`, `empty` (what to say where there is nothing).
 */
export function Grid(props) {
  const { list, label, side = 132, caption = 18, selection } = props;
  const frame = useRef(null);
  const [view, setView] = useState({ width: 0, height: 0, top: 0 });
  const [current, setCurrent] = useState(0);
  const anchor = useRef(0);
  const total = list.total ?? 0;
  const columns = Math.max(1, Math.floor((view.width + GAP) / (side + GAP)));
  const width = Math.floor((view.width - GAP * (columns - 1)) / columns);
  const pitch = width + caption + GAP;
  const rows = Math.ceil(total / columns);
  const first = Math.max(0, Math.floor(view.top / pitch) - MARGIN);
  const last = Math.min(rows - 1, Math.ceil((view.top + view.height) / pitch) + MARGIN);

  useLayoutEffect(() => {
    const node = frame.current;
    const measure = () =>
      setView((old) => ({ ...old, width: inner(node), height: node.clientHeight }));
    const watch = new ResizeObserver(measure);
    watch.observe(node);
    measure();
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    if (view.width && last >= first) list.ensure(first * columns, (last + 1) * columns - 1);
  }, [list, list.stamp, first, last, columns, view.width]);
  useEffect(() => {
    frame.current.scrollTop = 0;
    setCurrent(0);
    anchor.current = 0;
  }, [list.address]);
  useEffect(() => {
    if (total && current >= total) setCurrent(total - 1);
  }, [total, current]);
  const hadFocus = useRef(false);
  useLayoutEffect(() => {
    // What had the focus may be gone after an action; the grid must not lose it.
    if (hadFocus.current && document.activeElement === document.body) focus(current);
  });

  function focus(place) {
    frame.current?.querySelector(`[data-place="${place}"]`)?.focus({ preventScroll: true });
  }
  function show(place) {
    const node = frame.current;
    const top = Math.floor(place / columns) * pitch;
    if (top < node.scrollTop) node.scrollTop = top;
    if (top + pitch > node.scrollTop + node.clientHeight) {
      node.scrollTop = top + pitch - node.clientHeight;
    }
    setView((old) => ({ ...old, top: node.scrollTop }));
    setCurrent(place);
    hadFocus.current = true;
    focus(place); // At once, since the next key may come before the next frame.
    requestAnimationFrame(() => focus(place)); // A cell that scrolls into view is drawn by then.
  }
  const idOf = (place) => list.at(place)?.id;
  async function selectRange(to) {
    const [from, until] = [Math.min(anchor.current, to), Math.max(anchor.current, to)];
    const places = Array.from({ length: until - from + 1 }, (_, i) => from + i);
    // At once where all of them are loaded, since the next key may act on the selection.
    const loaded = places.every((place) => list.at(place));
    const items = loaded ? places.map((place) => list.at(place)) : await list.slice(from, until);
    props.onSelect(items.map((item) => item.id));
  }
  function toggle(place) {
    const next = new Set(selection);
    if (!next.delete(idOf(place))) next.add(idOf(place));
    anchor.current = place;
    props.onSelect([...next]);
  }
  function only(place) {
    anchor.current = place;
    if (idOf(place) !== undefined) props.onSelect([idOf(place)]);
  }
  function step(by, mode) {
    const active = document.activeElement;
    if (!total || active.closest(OWN_ARROWS)) return false;
    const started = frame.current.contains(active);
    const place = started ? Math.min(total - 1, Math.max(0, current + by)) : current;
    show(place);
    if (mode === "range") selectRange(place);
    else if (mode === "only") only(place);
    return true;
  }
  const page = Math.max(1, Math.floor(view.height / pitch)) * columns;
  const moves = [
    [["arrowleft"], -1], [["arrowright"], 1], [["arrowup"], -columns], [["arrowdown"], columns],
    [["home"], -total], [["end"], total], [["pageup"], -page], [["pagedown"], page],
  ];
  useKeys("Grid", OF_GRID, [
    { keys: ["arrowleft"], shown: "arrows", label: "select one", run: () => step(-1, "only") },
    ...moves.slice(1).map(([keys, by]) => ({ keys, run: () => step(by, "only") })),
    { keys: ["shift+arrowright"], shown: "shift arrows", label: "select a range", run: () => step(1, "range") },
    ...moves.map(([keys, by]) => ({ keys: [`shift+${keys[0]}`], run: () => step(by, "range") })),
    ...moves.map(([keys, by]) => ({ keys: [`ctrl+${keys[0]}`], run: () => step(by, "none") })),
    { keys: ["t", "ctrl+space"], label: "select or leave out the one in focus", run: () => toggle(current) },
    {
      keys: ["o"],
      label: "open its image",
      run: () => {
        const item = list.at(current);
        if (item && props.onOpen) props.onOpen(item);
      },
    },
  ]);

  const press = useRef({});
  function down(event, place) {
    press.current = { type: event.pointerType, long: false };
    if (event.pointerType === "mouse") return;
    press.current.timer = setTimeout(() => {
      press.current.long = true;
      setCurrent(place);
      selectRange(place);
    }, LONG_PRESS);
  }
  const stop = () => clearTimeout(press.current.timer);
  function click(event, place) {
    stop();
    if (press.current.long) return;
    setCurrent(place);
    hadFocus.current = true;
    if (event.shiftKey) selectRange(place);
    else if (event.ctrlKey || event.metaKey || press.current.type === "touch") toggle(place);
    else if (selection.size === 1 && selection.has(idOf(place))) props.onSelect([]);
    else only(place);
  }

  const drawn = [];
  for (let row = first; row <= last && view.width; row++) {
    const cells = [];
    for (let place = row * columns; place < Math.min(total, (row + 1) * columns); place++) {
      const item = list.at(place);
      const chosen = item !== undefined && selection.has(item.id);
      cells.push(html`
        <div key=${place} role="gridcell" data-place=${place} data-id=${item?.id}
          class=${names("cell", chosen && "chosen")}
          aria-colindex=${place - row * columns + 1} aria-selected=${chosen ? "true" : "false"}
          aria-label=${item ? props.name(item) : "loading"}
          tabindex=${place === current ? 0 : -1}
          style=${{ width: `${width}px`, "--c": item && props.tint ? props.tint(item) : "transparent" }}
          onPointerDown=${(event) => down(event, place)} onPointerUp=${stop} onPointerLeave=${stop}
          onPointerCancel=${stop} onContextMenu=${(event) => press.current.long && event.preventDefault()}
          onClick=${(event) => click(event, place)}
          onDblClick=${() => item && press.current.type === "mouse" && props.onOpen?.(item)}
          onFocus=${() => setCurrent(place)}>
          ${item ? props.draw(item, width) : html`<span class="blank" style=${{ height: `${width}px` }}></span>`}
        </div>`);
    }
    drawn.push(html`
      <div key=${row} role="row" class="row" aria-rowindex=${row + 1}
        style=${{ transform: `translateY(${row * pitch}px)` }}>${cells}</div>`);
  }
  return html`
    <div class="grid-frame" ref=${frame}
      onScroll=${() => setView((old) => ({ ...old, top: frame.current.scrollTop }))}
      onFocusIn=${() => { hadFocus.current = true; }}
      onFocusOut=${(event) => { if (event.relatedTarget) hadFocus.current = false; }}>
      ${total === 0
        ? html`<p class="quiet nothing">${list.total === null ? "Loading…" : props.empty ?? "Nothing here."}</p>`
        : html`<div role="grid" class="grid" aria-label=${label} aria-multiselectable="true"
            aria-rowcount=${rows} aria-colcount=${columns}
            style=${{ height: `${rows * pitch}px` }}>${drawn}</div>`}
    </div>`;
}

const QUIET = 70; // ms without scrolling past before a picture is asked for.

/** A picture that is asked for only once it stays in sight. */
export function Thumb({ address, side, alt = "" }) {
  const [asked, ask] = useState(null);
  const [failed, fail] = useState(false);
  useEffect(() => {
    fail(false);
    const timer = setTimeout(() => ask(address), asked === null ? QUIET : 0);
    return () => clearTimeout(timer);
  }, [address]);
  const size = side ? { height: `${side}px` } : undefined;
  if (failed) return html`<span class="blank lost" style=${size}>no picture</span>`;
  if (asked !== address) return html`<span class="blank" style=${size}></span>`;
  return html`<img class="thumb" src=${asked} alt=${alt} draggable=${false} decoding="async"
    style=${size} onError=${() => fail(true)} />`;
}
