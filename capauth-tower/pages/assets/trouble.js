// What went wrong, and what helps: words, a wait that ends, and the fields for what the server would like to have.

import { Refused } from "./api.js";
import { el, show } from "./dom.js";
import { copyButton, fileButton } from "./gives.js";
import { armoredBlocks, exportCommand } from "./shell.js";
import { say, say_with } from "./words.js";

/** Refusals that a public key helps against. */
const WANTS_KEY = new Set(["unknown_fingerprint", "key_expired", "invalid_public_key", "fingerprint_mismatch"]);

/** Refusals that may mean that another key signed than was asked. */
const MAY_BE_ANOTHER = new Set(["unknown_fingerprint", "invalid_nonce_signature", "fingerprint_mismatch"]);

/** Refusals after which the same thing may be tried again, without anything being changed. */
const MAY_TRY = new Set(["enrollment_pending", "unreachable", "server_error", "key_suspended"]);

/**
 * The box. `again` is called when the person wants to try again, `wait` while they have to wait (true) and after (false).
 * @param {{ again: () => void, wait: (isWaiting: boolean) => void }} what
 */
export function troubleBox({ again, wait }) {
  let timer = 0;
  const words = el("div", { role: "alert", class: "trouble-words", tabindex: "-1" });
  const seconds = el("p", { role: "timer", "aria-live": "off", class: "timer" });
  const publicKey = publicKeyField();
  const code = codeField();
  const retry = el("button", { class: "lead" }, say("login.again"));
  const fields = el("form", { novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    again();
  } }, publicKey.element, code.element, el("div", { class: "row" }, retry));
  const box = el("div", { class: "trouble-box" }, el("div", { class: "trouble" }, words, seconds), fields);
  box.hidden = true;

  function clear() {
    stopWaiting();
    words.replaceChildren();
    box.hidden = true;
  }

  function stopWaiting() {
    if (!timer) return;
    clearInterval(timer);
    timer = 0;
    seconds.textContent = "";
    wait(false);
  }

  /** Counts the seconds down that the server asks for. */
  function startWaiting(howLong) {
    const ends = Date.now() + howLong * 1000;
    const draw = () => {
      const left = Math.ceil((ends - Date.now()) / 1000);
      if (left > 0) seconds.textContent = say_with("login.wait", { seconds: left });
      else clear();
    };
    timer = setInterval(draw, 500);
    draw();
    wait(true);
  }

  return {
    element: box,
    clear,
    /** What the person added: sent with the next answer. */
    extras: () => ({ ...publicKey.value(), ...code.value() }),
    /** Takes a public key that came by another way. */
    takeKey: (armored) => publicKey.set(armored),
    /** Takes a one-time code likewise. */
    takeCode: (typed) => code.set(typed),
    /** @param {string | Error} trouble @param {string} fingerprint whom it is about */
    show(trouble, fingerprint) {
      stopWaiting();
      if (!trouble) return clear();
      const refused = trouble instanceof Refused ? trouble : null;
      box.hidden = false;
      words.replaceChildren(el("p", {}, typeof trouble === "string" ? trouble : trouble.message));
      if (MAY_BE_ANOTHER.has(refused?.code) && fingerprint) {
        words.append(el("p", {}, say("login.asked"), " ", el("span", { class: "mono" }, fingerprint)));
      }
      if (WANTS_KEY.has(refused?.code)) publicKey.want(fingerprint, refused.code === "key_expired");
      if (refused?.code === "enrollment_closed") code.want();
      const asks = WANTS_KEY.has(refused?.code) || refused?.code === "enrollment_closed";
      show(publicKey.element, WANTS_KEY.has(refused?.code));
      show(code.element, refused?.code === "enrollment_closed");
      show(fields, asks || MAY_TRY.has(refused?.code));
      if (refused?.code === "too_many_requests") startWaiting(refused.retryAfter ?? 10);
      const first = [publicKey, code].find((one) => !one.element.hidden);
      if (first) first.focus();
      else if (refused?.code === "too_many_requests") words.focus();
      box.scrollIntoView({ block: "nearest" });
    },
  };
}

/**
 * In the place of a part that could not be loaded. Trying again would not help: browsers keep what failed, and a server that
 * was renewed has other files than this page asks for.
 */
export function partMissing() {
  const reload = () => location.reload();
  return el("div", { role: "alert" },
    el("div", { class: "trouble" }, el("p", {}, say("login.part_missing"))),
    el("button", { type: "button", class: "lead", onclick: reload }, say("login.reload")));
}

/** Where a public key is pasted, or comes out of a file. */
function publicKeyField() {
  const field = el("textarea", {
    id: "public-key", class: "mono", rows: 4, spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    maxlength: 98304, "aria-describedby": "public-key-trouble",
  });
  const trouble = el("p", { class: "field-trouble", id: "public-key-trouble", role: "alert" });
  const extend = el("div", {}), command = el("div", {});
  const read = () => armoredBlocks(field.value);
  field.addEventListener("input", () => {
    const { keys, hasSecret } = read();
    if (hasSecret) {
      field.value = "";
      trouble.textContent = say("login.secret_key");
    } else if (field.value.trim()) {
      trouble.textContent = keys.length ? "" : say("login.public_key_wrong");
    }
  });
  const set = (text) => {
    field.value = text;
    field.dispatchEvent(new Event("input"));
  };
  return {
    element: el("div", {}, extend, el("label", { for: "public-key" }, say("login.public_key")), command, field, trouble,
      fileButton(say("login.public_key_file"), set, (words) => { trouble.textContent = words; })),
    focus: () => field.focus(),
    set,
    value() {
      const { keys } = read();
      return keys.length ? { public_key: keys.at(-1) } : {};
    },
    want(fingerprint, isExpired) {
      const lines = (text) => el("div", { class: "command" }, el("code", { translate: "no" }, text), copyButton(() => text));
      const extending = `gpg --quick-set-expire ${fingerprint} 1y`;
      extend.replaceChildren(...(isExpired && fingerprint ? [el("p", {}, say("login.extend")), lines(extending)] : []));
      command.replaceChildren(...(fingerprint ? [lines(exportCommand(fingerprint))] : []));
    },
  };
}

/** Where a one-time code is typed. */
function codeField() {
  const field = el("input", { id: "enrollment-code", autocomplete: "one-time-code", spellcheck: "false", maxlength: 128, class: "mono" });
  return {
    element: el("div", {}, el("label", { for: "enrollment-code" }, say("login.code")), field),
    focus: () => field.focus(),
    set(text) {
      field.value = text;
    },
    want() {},
    value() {
      const code = field.value.trim();
      return code ? { enrollment_code: code } : {};
    },
  };
}
