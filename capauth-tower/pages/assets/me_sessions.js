// Where the person is signed in, and how to end that.

import { call, get } from "./api.js";
import { el } from "./dom.js";
import { API, ask, minute, news, relative, section, sentence, trouble } from "./me_parts.js";
import { say, say_with } from "./words.js";

/** The part of the page about sessions. `signedOut(why)` when nobody is signed in any longer. */
export function sessions(first, signedOut) {
  const [list, told, wrong] = [el("ul", { class: "items" }), news(), trouble()];
  const all = el("div", { class: "row" });
  const { heading, element } = section(say("me.sessions"), told.line, wrong.line, list, all);

  function draw(sessions) {
    list.replaceChildren(...sessions.map((session) => item(session, () => act(say("me.session.ended"), [session]))));
    const others = sessions.filter((session) => !session.current);
    all.replaceChildren(
      ...others.length > 1 ? [el("button", { type: "button", onclick: () => endOthers(others) }, say("me.sessions.others"))] : [],
      el("button", { type: "button", class: "bad", onclick: endAll }, say("me.sessions.all")));
  }

  /** Ends these, says so, and shows those that are left. */
  async function act(what, sessions) {
    wrong.tell("");
    told.tell("");
    try {
      for (const session of sessions) await end(session);
      draw(await get(`${API}/sessions`));
      told.tell(what);
      heading.focus();
    } catch (error) {
      failed(error);
    }
  }

  async function endOthers(others) {
    const text = say_with("me.sessions.others.what", { number: others.length });
    if (await ask({ title: say("me.sessions.others.sure"), text, yes: say("me.sessions.others") })) {
      await act(say("me.sessions.others.ended"), others);
    }
  }

  async function endAll() {
    const question = { title: say("me.sessions.all.sure"), text: say("me.sessions.all.what"), yes: say("me.sessions.all") };
    if (!await ask(question)) return;
    try {
      await call("DELETE", `${API}/sessions`);
      signedOut(say("me.sessions.all.ended"));
    } catch (error) {
      failed(error);
    }
  }

  function failed(error) {
    if (error.code === "invalid_token") signedOut(say("me.out.ended"));
    else wrong.tell(error.message);
  }

  /** Something else may have ended some. */
  async function refresh() {
    try {
      draw(await get(`${API}/sessions`));
    } catch (error) {
      failed(error);
    }
  }

  draw(first);
  return { element, refresh };
}

/** One that has ended by itself in the meantime has ended. */
async function end({ id }) {
  try {
    await call("DELETE", `${API}/sessions/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error.code !== "not_found") throw error;
  }
}

function item({ service, created_at, last_seen, expires_at, amr, current }, end) {
  const how = amr.includes("pgp") ? say("me.session.pgp") : amr.join(", ");
  const name = `${service}, ${minute(created_at).textContent}`;
  return el("li", { class: "session" },
    el("div", {},
      el("h3", {}, service, " ", current && el("span", { class: "tag" }, say("me.session.this"))),
      el("p", { class: "quiet" },
        sentence(say("me.session.since"), { minute: minute(created_at), how }), " ",
        sentence(say("me.session.used"), { ago: relative(last_seen), minute: minute(expires_at) }))),
    current ? null
      : el("button", { type: "button", "aria-label": say_with("me.session.end_which", { name }), onclick: end }, say("me.session.end")));
}
