// Keys: each view says which ones it has, and the help lists those that work now.
import { store } from "./store.js";
import { useLayoutEffect, useRef } from "./ui.js";

const groups = [];

/** Which keys come first where several groups have the same one. */
export const EVERYWHERE = 0;
export const OF_SELECTION = 1;
export const OF_GRID = 2;
export const OF_VIEW = 3;

/**
 * Gives keys to a part of the page: a list of {keys, label, run}; `keys` such as ["g"] or
 * ["ctrl+z"]; `shown` is how the help writes them where they are more. `run` gets the event, and
 * returns false where it leaves the key to others.
 */
export function useKeys(group, level, list) {
  const current = useRef(list);
  current.current = list;
  // Not after the next frame: a key may be pressed before it.
  useLayoutEffect(() => {
    const entry = { group, level, list: () => current.current };
    groups.push(entry);
    groups.sort((one, other) => other.level - one.level);
    return () => groups.splice(groups.indexOf(entry), 1);
  }, [group, level]);
}

/** Groups of keys for the help, those of the view first. */
export const known = () =>
  groups.map(({ group, list }) => ({ group, list: list().filter((one) => one.label) }));

function nameOf(event) {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  const control = event.ctrlKey || event.metaKey ? "ctrl+" : "";
  // Characters such as "/" need shift on some keyboards.
  const shift = event.shiftKey && (key.length > 1 || /[a-z]/.test(key)) ? "shift+" : "";
  return control + shift + key;
}

const typing = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
  !/^(checkbox|radio|range)$/.test(target.type ?? "");

/** A control that takes enter and space itself. */
const pressed = (target, name) =>
  (name === "enter" || name === "space") &&
  target instanceof Element &&
  target.closest("button, a[href], summary, input, [role=tab]") !== null;

/** Keys that go on while they are held down; every other one acts once. */
const GOES_ON = /^(Arrow(Left|Right|Up|Down)|Page(Up|Down)|Home|End)$/;

export function startKeys() {
  let acted = ""; // The key that acted last: held down, it shall not write into a dialog either.
  document.addEventListener("keydown", (event) => {
    const name = nameOf(event);
    if (event.repeat && !GOES_ON.test(event.key)) {
      const written = name === "space" && typing(event.target);
      if (event.key === acted || (pressed(event.target, name) && !written)) event.preventDefault();
      return;
    }
    acted = "";
    if (event.defaultPrevented || event.altKey || store.dialog) return;
    if (typing(event.target) || pressed(event.target, name)) return;
    if (event.target.type === "range" && name.startsWith("arrow")) return;
    for (const { list } of groups) {
      const found = list().find((one) => one.keys.includes(name));
      if (found && found.run(event) !== false) {
        event.preventDefault();
        acted = event.key;
        return;
      }
    }
  });
}

const SHOWN = {
  space: "space",
  arrowleft: "←",
  arrowright: "→",
  arrowup: "↑",
  arrowdown: "↓",
  escape: "esc",
  enter: "enter",
};

/** How a key is written on the page. */
export const written = (key) =>
  key
    .split("+")
    .map((part) => SHOWN[part] ?? part)
    .join(" ");
