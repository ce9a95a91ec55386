// The one place that knows which library draws the page.
import { createElement, Fragment, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { Fragment, render };
export {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../vendor/hooks.js";

/** Makes elements of a template: html`<b>${text}</b>`; text is never read as HTML. */
export const html = htm.bind(createElement);

/** Joins the names of CSS classes and leaves out what is false. */
export const names = (...all) => all.filter(Boolean).join(" ");

/** "1 region", "3 regions". */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** A whole number with a thin space between thousands. */
export const number = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");

/** A probability as a percentage; only certainty reads "100 %". */
export function percent(p) {
  const value = 100 * p;
  if (value >= 99.95) return "100 %";
  return value < 10 || value > 99 ? `${value.toFixed(1)} %` : `${Math.round(value)} %`;
}
