// Long lists, of which only the pages in sight are loaded.
import { get } from "./api.js";
import { toast, useStore } from "./store.js";
import { useEffect, useMemo, useState } from "./ui.js";

const PAGE = 300;

/** A list behind an address that takes `offset` and `limit`; `changed` is called after loading. */
class Pages {
  constructor(address, changed) {
    this.address = address;
    this.changed = changed;
    this.total = null;
    this.pages = new Map(); // number of the page -> {stamp, items, done}
    this.classes = new Map(); // id of a region -> the class in which it was shown last
    this.stamp = 0;
  }

  /** The item at a place, or undefined while it is not loaded. */
  at(place) {
    return this.pages.get(Math.floor(place / PAGE))?.items?.[place % PAGE];
  }

  /** Place of the region with an id among those that are loaded, or -1. */
  find(id) {
    for (const [page, { items }] of this.pages) {
      const place = items?.findIndex((one) => one.id === id) ?? -1;
      if (place >= 0) return page * PAGE + place;
    }
    return -1;
  }

  /** Loads what is missing or out of date between two places, both included. */
  async ensure(from, to) {
    const wanted = [];
    const last = this.total === null ? to : Math.min(to, Math.max(0, this.total - 1));
    for (let page = Math.floor(from / PAGE); page <= Math.floor(last / PAGE); page++) {
      wanted.push(this.#load(page));
    }
    await Promise.all(wanted);
  }

  /** The items between two places, both included. */
  async slice(from, to) {
    await this.ensure(from, to);
    const items = [];
    for (let place = from; place <= to; place++) {
      const item = this.at(place);
      if (item) items.push(item);
    }
    return items;
  }

  #load(page) {
    const before = this.pages.get(page);
    if (before?.stamp === this.stamp) return before.done;
    const entry = { stamp: this.stamp, items: before?.items, done: null };
    this.pages.set(page, entry);
    const separator = this.address.includes("?") ? "&" : "?";
    const limits = `offset=${page * PAGE}&limit=${PAGE}`;
    entry.done = get(`${this.address}${separator}${limits}`).then(
      (answer) => {
        entry.items = answer.items;
        for (const one of answer.items) this.classes.set(one.id, one.class);
        this.total = answer.total;
        this.changed();
      },
      (error) => {
        entry.stamp = -1;
        if (error.status) toast(error.message, { wrong: true });
      },
    );
    return entry.done;
  }
}

/** The list behind an address; loaded again, page by page, when the state changes. */
export function usePages(address) {
  const { stamp } = useStore();
  const [, draw] = useState(0);
  const pages = useMemo(() => new Pages(address, () => draw((n) => n + 1)), [address]);
  pages.stamp = stamp;
  useEffect(() => {
    pages.ensure(0, 0);
  }, [pages, stamp]);
  return pages;
}

/** Ids of all regions of a class, in no order. */
export async function idsOfClass(id) {
  const { ids, classes } = await get("/api/assignment");
  return ids.filter((_, place) => classes[place] === id);
}
