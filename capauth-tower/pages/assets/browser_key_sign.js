// The view that signs in: which key, its passphrase, and for how long it stays open.

import { Refused } from "./api.js";
import { busyButton, clock, form, link, passphraseField, short } from "./browser_key_parts.js";
import { el, show } from "./dom.js";
import { KeyTrouble, listKeys, lockKey, noteKnown, signLogin } from "./keys.js";
import { keep, recall } from "./store.js";
import { say, say_with } from "./words.js";

/** For how many seconds a key stays unlocked. */
const TIMES = () => [
  [0, say("browser.once")], [300, say("browser.minutes")], [3600, say("browser.hour")], [8 * 3600, say("browser.hours")],
];

/** Refusals that a certificate helps against. */
const WANTS_KEY = new Set(["unknown_fingerprint", "key_expired"]);

/** @param {import("./browser_key.js").Panel} panel */
export function signView(panel) {
  let chosen = null;
  let timer = 0;
  /** Whom the page took the person for when that was last looked at. */
  let preferred = "";
  const choice = keyChoice((key) => choose(key));
  const name = el("input", { type: "text", autocomplete: "username", readonly: true, hidden: true });
  const passphrase = passphraseField({
    id: "browser-passphrase", label: say("browser.passphrase"), autocomplete: "current-password",
  });
  const stay = stayField();
  const opened = el("span");
  const openedLine = el("p", { class: "note" }, opened, " ", link(say("browser.lock"), () => lockNow()));
  const locked = el("div", {}, name, passphrase.element, stay.element);
  const button = busyButton(say("browser.sign_in"), say("browser.signing"));
  const reminder = el("div", { class: "warning" },
    el("p", {}, say("browser.unsaved")),
    link(say("browser.save"), () => panel.go("save", { key: chosen, passphrase: passphrase.input.value })));
  const element = el("div", {},
    form(() => button.during(signIn), choice.element, locked, openedLine, el("div", { class: "row" }, button)),
    reminder,
    el("p", { class: "links" },
      link(say("browser.care"), () => panel.go("care", { key: chosen })),
      link(say("browser.bring"), () => panel.go("bring", { focus: true })),
      link(say("browser.make_another"), () => panel.go("make", { focus: true }))));

  function choose(key) {
    if (chosen?.fingerprint !== key.fingerprint) passphrase.clear();
    chosen = key;
    name.value = key.fingerprint;
    choice.mark(key);
    panel.login.signer(key.fingerprint);
    draw();
  }

  function draw() {
    clearTimeout(timer);
    const isOpen = chosen.unlocked > 0;
    show(locked, !isOpen);
    show(openedLine, isOpen);
    show(stay.element, chosen.stays);
    show(reminder, !chosen.saved);
    if (!isOpen) return;
    opened.textContent = say_with("browser.open_until", { time: clock(Date.now() + chosen.unlocked) });
    timer = setTimeout(reload, Math.min(chosen.unlocked, 2 ** 31 - 1) + 200);
  }

  /** What was true of the keys may be no more: time passes, and other tabs do things. */
  async function reload() {
    panel.keys = await listKeys().catch(() => []);
    const still = panel.keys.find((key) => key.fingerprint === chosen.fingerprint);
    if (!still) return panel.refresh();
    choice.fill(panel.keys);
    choose(still);
  }

  async function lockNow() {
    try {
      await lockKey(chosen);
    } catch (trouble) {
      return panel.login.trouble(trouble);
    }
    await reload();
    panel.tell(say("browser.locked"));
    passphrase.input.focus();
  }

  async function signIn() {
    panel.tell("");
    panel.login.trouble("");
    const typed = chosen.unlocked > 0 ? undefined : passphrase.input.value;
    if (typed === "") return passphrase.complain(say("browser.passphrase_empty"));
    try {
      await answer(panel.login, chosen, { passphrase: typed, keepUnlocked: chosen.stays ? stay.seconds() : 0 });
      passphrase.input.value = "";
    } catch (trouble) {
      await complain(trouble);
    }
  }

  async function complain(trouble) {
    if (trouble instanceof KeyTrouble && trouble.code === "passphrase") return passphrase.complain(trouble.message);
    if (trouble instanceof KeyTrouble && ["locked", "none"].includes(trouble.code)) {
      await reload();
      if (trouble.code === "locked") return passphrase.complain(trouble.message);
    } else if (trouble instanceof Refused) {
      // The key may be open now, although the server did not take what it signed.
      await reload();
    }
    panel.login.trouble(trouble);
  }

  return {
    element,
    enter({ key, wanted, passphrase: typed, focus }) {
      preferred = panel.login.fingerprint();
      choice.fill(panel.keys);
      const fits = (fingerprint) => panel.keys.find((it) => it.fingerprint === fingerprint);
      choose(fits(key?.fingerprint) ?? fits(wanted) ?? fits(chosen?.fingerprint) ?? panel.keys[0]);
      if (typed && chosen.fingerprint === key?.fingerprint) passphrase.input.value = typed;
      if (focus) (chosen.unlocked > 0 ? button : passphrase.input).focus();
    },
    leave() {
      clearTimeout(timer);
      passphrase.clear();
    },
    submit: () => element.querySelector("form").requestSubmit(),
    /** The person is another now, or only what they share: then the key stays the one that they chose. */
    prefer(fingerprint) {
      if (fingerprint === preferred) return;
      preferred = fingerprint;
      const key = panel.keys.find((it) => it.fingerprint === fingerprint);
      if (key) choose(key);
    },
  };
}

/** Which key: a line when there is one, a list when there are several. */
function keyChoice(onChoose) {
  const element = el("div");
  const labelled = (key) => [
    el("span", { class: "key-name" }, key.label || say("browser.unnamed")), " ",
    el("span", { class: "key-id mono quiet", translate: "no" }, short(key.fingerprint)),
  ];
  const radio = (key) => el("label", { class: "key-choice" },
    el("input", { type: "radio", name: "browser-key", value: key.fingerprint, onchange: () => onChoose(key) }),
    el("span", {}, labelled(key)));
  return {
    element,
    fill(keys) {
      if (keys.length === 1) {
        element.replaceChildren(el("p", { class: "key-one" }, labelled(keys[0])));
        return;
      }
      const question = el("legend", { class: "label" }, say("browser.which"));
      element.replaceChildren(el("fieldset", {}, question, keys.map(radio)));
    },
    mark({ fingerprint }) {
      for (const input of element.querySelectorAll("input")) input.checked = input.value === fingerprint;
    },
  };
}

/** For how long the key stays open. What was chosen last is offered first. */
function stayField() {
  const options = TIMES().map(([seconds, words]) => el("option", { value: seconds }, words));
  const select = el("select", { id: "browser-stay" }, options);
  select.value = String(recall("unlocked") ?? 0);
  if (select.selectedIndex < 0) select.selectedIndex = 0;
  select.addEventListener("change", () => keep("unlocked", Number(select.value)));
  return {
    element: el("div", {}, el("label", { for: "browser-stay" }, say("browser.stay")), select),
    seconds: () => Number(select.value),
  };
}

/** Signs, and sends it. The certificate goes along when this service may not have it yet. */
async function answer(login, { fingerprint }, how) {
  const claims = login.claims(fingerprint);
  const challenge = await login.challenge(fingerprint);
  const signed = await signLogin({ fingerprint, challenge, claims, ...how });
  const { nonce_signature, claims_signature, public_key, isKnown } = signed;
  const bare = { fingerprint, nonce: challenge.nonce, nonce_signature };
  if (claims_signature) Object.assign(bare, { claims, claims_signature });
  if (!isKnown) return introduce(login, { ...bare, public_key });
  try {
    await login.answer(bare);
  } catch (error) {
    if (!WANTS_KEY.has(error.code)) throw error;
    await login.answer({ ...bare, public_key });
  }
}

/** Noted before it is sent, since the page is left then. Wrongly noted costs one more request at the next login. */
async function introduce(login, given) {
  const note = (isKnown) => noteKnown({ fingerprint: given.fingerprint, service: login.service, isKnown }).catch(() => {});
  await note(true);
  try {
    await login.answer(given);
  } catch (error) {
    await note(false);
    throw error;
  }
}
