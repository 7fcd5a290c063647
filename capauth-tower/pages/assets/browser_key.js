// Signing with a key that this browser holds: choose it, open it, sign in; make one, bring one, look after them.

import { el } from "./dom.js";
import { canHoldKeys, listKeys } from "./keys.js";
import { say } from "./words.js";

/**
 * The panel: one of its views is shown. The others keep the names that were typed into them; passphrases and secret keys
 * are gone from a view that is left (its `leave`).
 * @typedef {object} Panel
 * @property {HTMLElement} element
 * @property {import("./ways.js").Login} login the one at hand
 * @property {import("./keys.js").Key[]} keys
 * @property {(name: string, what?: object) => Promise<void>} go shows a view, and goes there with the focus
 * @property {(what?: object) => Promise<void>} refresh reads the keys anew, and shows how to sign with one
 * @property {(words: string) => void} tell says what was done
 */

/** The views, each loaded when it is first gone to: the page begins with one of them at most. */
const VIEWS = {
  sign: async (panel) => (await import("./browser_key_sign.js")).signView(panel),
  make: async (panel) => (await import("./browser_key_make.js")).makeView(panel),
  bring: async (panel) => (await import("./browser_key_bring.js")).bringView(panel),
  save: async (panel) => (await import("./browser_key_save.js")).saveView(panel),
  care: async (panel) => (await import("./browser_key_care.js")).careView(panel),
};

/** @returns {Panel} */
function build() {
  const status = el("p", { class: "done", role: "status" });
  const place = el("div");
  const panel = { element: el("div", { class: "browser-key" }, status, place), login: null, keys: [], go, refresh, tell };
  const views = new Map();
  const broken = brokenView(() => refresh({ focus: true }));
  let current = null, name = "", turn = 0;

  function tell(words) {
    status.textContent = words;
  }

  function breaks(words) {
    current?.leave?.();
    current = null;
    broken.tell(words);
    place.replaceChildren(broken.element);
  }

  async function go(wanted, what = {}) {
    const mine = ++turn;
    tell("");
    panel.login.trouble("");
    try {
      if (!views.has(wanted)) views.set(wanted, await VIEWS[wanted](panel));
    } catch {
      return breaks(say("browser.trouble_loading"));
    }
    // Somebody went elsewhere while it was loaded.
    if (mine !== turn) return;
    current?.leave?.();
    [current, name] = [views.get(wanted), wanted];
    place.replaceChildren(current.element);
    current.enter(what);
  }

  async function refresh(what = {}) {
    try {
      panel.keys = await listKeys();
    } catch (trouble) {
      return breaks(trouble.message);
    }
    await go(panel.keys.length ? "sign" : "make", what);
  }

  panel.use = (login) => {
    panel.login = login;
    // Whoever was about to make or to bring a key goes on there.
    if (!current || name === "sign") refresh({ wanted: login.fingerprint() });
  };
  panel.leave = () => current?.leave?.();
  panel.again = () => (name === "sign" ? current?.submit() : current?.enter({ focus: true }));
  panel.changed = () => name === "sign" && current?.prefer(panel.login.fingerprint());
  return panel;
}

function brokenView(again) {
  const words = el("p");
  const element = el("div", { role: "alert" },
    el("div", { class: "trouble" }, words),
    el("button", { type: "button", onclick: again }, say("browser.again")));
  return {
    element,
    tell(text) {
      words.textContent = text;
    },
  };
}

/** A page has one: whoever was about to make or to bring a key is still there when they looked at another way meanwhile. */
let panel;

/** @type {import("./ways.js").Way} */
export const browserKey = {
  id: "browser",
  title: say("browser.title"),
  isThere: canHoldKeys,
  open(login) {
    panel ??= build();
    panel.use(login);
    return panel.element;
  },
  close: () => panel?.leave(),
  changed: () => panel?.changed(),
  again: () => panel?.again(),
};
