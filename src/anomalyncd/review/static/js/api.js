// What the page asks of the server.

/** The server refused, with its sentence as the message. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The server did not answer at all. */
export class Unreachable extends Error {}

async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(address, { credentials: "same-origin", ...options });
  } catch {
    throw new Unreachable("The server of the review does not answer.");
  }
  if (answer.ok) return answer.json();
  let said = "";
  try {
    said = (await answer.json()).error;
  } catch {
    said = answer.status === 403 ? "This link is not valid any more." : "";
  }
  throw new Refused(answer.status, said || `The server answered with error ${answer.status}.`);
}

export const get = (address) => ask(address, {});

/** Does one action of the label book; see the server for their names. */
export const post = (action, facts) =>
  ask("/api/actions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ action, ...facts }),
  });

/** Makes the query part of an address; what is null is left out. */
export function query(parts) {
  const given = Object.entries(parts).filter(([, value]) => value !== null && value !== undefined);
  return new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
}

export const picture = {
  region: (id, side = 144) => `/picture/region/${id}.jpg?side=${side}`,
  image: (name, side = 1600) => `/picture/image.jpg?${query({ name, side })}`,
  map: (name) => `/picture/map.png?${query({ name })}`,
  attention: (id) => `/picture/attention/${id}.jpg`,
};

const RETRY = 1000; // ms
const SILENCE = 40000; // ms; the server says something at least every 15 s.

/**
 * Listens to changes made by anyone, and connects again by itself.
 * `heard` gets {version, refitting, changed}; `reached` gets whether the server answers.
 */
export function listen(heard, reached) {
  let source = null;
  let timer = null;
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const again = () => {
    close();
    if (!document.hidden) timer = setTimeout(open, RETRY);
  };
  const lost = () => {
    reached(false);
    again();
  };
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(lost, SILENCE);
  };
  function open() {
    close();
    source = new EventSource("/api/events");
    source.onopen = () => {
      reached(true);
      alive();
    };
    source.addEventListener("version", (event) => {
      alive();
      heard(JSON.parse(event.data));
    });
    source.onerror = lost;
  }
  // A browser opens six connections to a server at most, so a hidden tab gives its own back.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  open();
}
