// The frame of the page: head, views by address, messages.
import { Dialogs, showKeys } from "./dialogs.js";
import { EVERYWHERE, startKeys, useKeys } from "./keys.js";
import { change, dismiss, redo, select, start, undo, undoToast, useStore } from "./store.js";
import { html, names, render, useEffect, useState } from "./ui.js";
import { Ask } from "./views/ask.js";
import { ClassView } from "./views/class.js";
import { Classes } from "./views/classes.js";
import { History } from "./views/history.js";
import { ImageView } from "./views/image.js";
import { Images } from "./views/images.js";
import { MapView } from "./views/map.js";
import { New } from "./views/new.js";
import { SplitView } from "./views/split.js";

function routeOf(hash) {
  const [path, search = ""] = hash.replace(/^#/, "").split("?");
  const [view = "", ...rest] = path.split("/").filter(Boolean);
  let parts = rest;
  try {
    parts = rest.map(decodeURIComponent);
  } catch {
    parts = [];
  }
  return { view, parts, search: Object.fromEntries(new URLSearchParams(search)) };
}

function Shown({ route }) {
  const { view, parts, search } = route;
  if (view === "class" && parts[1] === "split") {
    return html`<${SplitView} key=${parts[0]} id=${Number(parts[0])} />`;
  }
  if (view === "class") return html`<${ClassView} key=${parts[0]} id=${Number(parts[0])} />`;
  if (view === "image") return html`<${ImageView} name=${parts[0]} region=${search.region} />`;
  if (view === "images") return html`<${Images} of=${search.class ?? ""} />`;
  if (view === "map") return html`<${MapView} />`;
  if (view === "ask") return html`<${Ask} />`;
  if (view === "new") return html`<${New} />`;
  if (view === "history") return html`<${History} />`;
  return html`<${Classes} />`;
}

const SCHEMES = { auto: "as the system", light: "light", dark: "dark" };

function scheme() {
  try {
    return localStorage.getItem("scheme") ?? "auto";
  } catch {
    return "auto";
  }
}

function wear(name) {
  document.documentElement.dataset.scheme = name;
  try {
    localStorage.setItem("scheme", name);
  } catch {
    // The choice is for this visit only where nothing may be stored.
  }
}

function SchemeSwitch() {
  const [now, set] = useState(scheme());
  const next = { auto: "light", light: "dark", dark: "auto" }[now];
  const turn = () => {
    wear(next);
    set(next);
  };
  return html`
    <button class="icon" onClick=${turn} title=${`Colours: ${SCHEMES[now]}`}
      aria-label=${`Colours: ${SCHEMES[now]}; change to ${SCHEMES[next]}`}>
      <svg viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="7" class="ring" />
      <path d="M10 3a7 7 0 0 1 0 14z" class=${names("half", now)} /></svg>
    </button>`;
}

function Head({ route }) {
  const { state } = useStore();
  const at = { class: "", image: "images" }[route.view] ?? route.view;
  const tabs = [
    ["", "Classes"],
    ["ask", "To look at", state.n_to_ask],
    ["new", "New", state.n_new],
    ["images", "Images"],
    ["map", "Map"],
    ["history", "History"],
  ];
  return html`
    <header class="head">
      <a class="brand" href="#/" title=${state.run}>${state.title}</a>
      <nav aria-label="Views">
        ${tabs.map(([view, text, n]) => html`
          <a key=${view} href=${`#/${view}`} aria-current=${view === at ? "page" : undefined}>
            ${text}${n ? html` <span class="n">${n}</span>` : null}</a>`)}
      </nav>
      <span class="tools">
        <a class="plain" href="/label-book" target="_blank" rel="noopener">Label book</a>
        <a class="plain" href="/report" target="_blank" rel="noopener">Report</a>
        <button class="icon" disabled=${!state.undoable} onClick=${undo}
          aria-label=${state.undoable ? `Undo: ${state.undoable}` : "Undo"} title=${state.undoable ? `Undo: ${state.undoable}` : "Nothing to undo"}>
          <svg viewBox="0 0 20 20" aria-hidden="true"><path d="M4 8h8a4 4 0 0 1 0 8H7M4 8l4-4M4 8l4 4" /></svg></button>
        <button class="icon" disabled=${!state.redoable} onClick=${redo}
          aria-label=${state.redoable ? `Redo: ${state.redoable}` : "Redo"} title=${state.redoable ? `Redo: ${state.redoable}` : "Nothing to redo"}>
          <svg viewBox="0 0 20 20" aria-hidden="true"><path d="M16 8H8a4 4 0 0 0 0 8h5M16 8l-4-4M16 8l-4 4" /></svg></button>
        <${SchemeSwitch} />
        <button class="icon" onClick=${showKeys} aria-label="Keys" title="Keys (h)"><span aria-hidden="true">?</span></button>
      </span>
    </header>`;
}

const LINE = 15000; // ms that the last news stays in sight

function News() {
  const { state, announced } = useStore();
  useEffect(() => {
    const timer = setTimeout(() => change({ announced: "" }), LINE);
    return () => clearTimeout(timer);
  }, [announced]);
  const text = state?.refitting ? "Refitting…" : announced;
  return html`<p class=${names("news", text && "on", state?.refitting && "busy")} role="status" aria-live="polite">${text}</p>`;
}

const Toasts = () => {
  const { toasts } = useStore();
  return html`
    <div class="toasts" role="status" aria-live="polite">
      ${toasts.map((one) => html`
        <div key=${one.id} class=${names("toast", one.wrong && "wrong")}>
          <span>${one.text}</span>
          ${one.undo ? html`<button onClick=${() => undoToast(one)}>Undo</button>` : null}
          <button class="close" aria-label="Close" onClick=${() => dismiss(one.id)}>×</button>
        </div>`)}
    </div>`;
};

function Page() {
  const { state, online, lost } = useStore();
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const follow = () => {
      select([]);
      setRoute(routeOf(location.hash));
      document.getElementById("main")?.focus({ preventScroll: true });
    };
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  useEffect(() => {
    if (state) document.title = `${state.title} – review`;
  }, [state?.title]);
  useKeys("Everywhere", EVERYWHERE, [
    { keys: ["ctrl+z"], label: "undo", run: () => void undo() },
    { keys: ["ctrl+shift+z", "ctrl+y"], label: "redo", run: () => void redo() },
    { keys: ["h", "?"], label: "show all keys", run: () => void showKeys() },
  ]);
  if (lost) {
    return html`<main class="alone"><h1>This page is closed</h1><p role="alert">${lost} Open the link that “anomalyncd review” printed last.</p></main>`;
  }
  if (!state) {
    return html`<main class="alone"><p role="status">${online ? "Loading…" : "The server of the review does not answer. Trying again…"}</p></main>`;
  }
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>To the content</a>
    <${Head} route=${route} />
    ${online ? null : html`<p class="offline" role="alert">The server of the review does not answer. Trying again… What you did so far is stored.</p>`}
    <main id="main" tabindex="-1" class=${`view view-${route.view || "classes"}`}><${Shown} route=${route} /></main>
    <${News} />
    <${Toasts} />
    <${Dialogs} />`;
}

wear(scheme());
startKeys();
start();
render(html`<${Page} />`, document.getElementById("page"));
