// The two halves of the panel for gpg: the command, and the field for what it prints.

import { el, setBusy, show } from "./dom.js";
import { copyButton, fileButton } from "./gives.js";
import { armoredBlocks, likelyShell, SHELLS } from "./shell.js";
import { keep, recall } from "./store.js";
import { say } from "./words.js";

const likelyShellHere = () => {
  const kept = recall("shell");
  return SHELLS.includes(kept) ? kept : likelyShell();
};

/** The command, for the shell that is chosen, and how long it is good. */
export function commandBox({ onShell, text, onTaken, onGo, onWithKey }) {
  let chosen = likelyShellHere();
  const code = el("code", { translate: "no" });
  const pre = el("pre", { tabindex: "0", role: "group", "aria-label": say("gpg.command") }, code);
  pre.addEventListener("copy", () => onTaken());
  const isSelected = () => {
    const selection = getSelection();
    return !selection.isCollapsed && selection.containsNode(pre, true);
  };
  const copy = copyButton(text, { class: "lead wide", words: say("gpg.copy"), done: onTaken, failed: () => {
    getSelection().selectAllChildren(pre);
    pre.focus();
  } });
  const names = { posix: say("gpg.posix"), powershell: say("gpg.powershell") };
  const radios = SHELLS.map((name) => {
    const radio = el("input", { type: "radio", name: "shell", value: name });
    radio.checked = name === chosen;
    radio.addEventListener("change", () => {
      chosen = name;
      keep("shell", name);
      onShell();
    });
    return el("label", {}, radio, el("span", {}, names[name]));
  });
  const key = el("input", { type: "checkbox", id: "with-key", "aria-describedby": "with-key-hint" });
  key.addEventListener("change", () => onWithKey(key.checked));
  const timer = el("p", { class: "timer", role: "timer", "aria-live": "off" });
  const go = el("button", { type: "button", class: "wide", onclick: () => {
    show(pausing, false);
    show(copy, true);
    onGo();
    copy.focus();
  } }, say("gpg.go_on"));
  const why = el("p", { class: "quiet", role: "status" });
  const pausing = el("div", { hidden: true }, why, go);
  return {
    element: el("div", { class: "command-box" },
      el("fieldset", { class: "segments" }, el("legend", { class: "unseen" }, say("gpg.shell")), radios),
      pre, copy, timer, pausing,
      onWithKey && el("label", { class: "check", for: "with-key" }, key, el("span", {}, say("gpg.with_key"))),
      onWithKey && el("p", { class: "hint", id: "with-key-hint" }, say("gpg.with_key_hint"))),
    shell: () => chosen,
    isSelected,
    setWithKey: (wanted) => { key.checked = wanted; },
    draw(command) {
      if (code.textContent !== command) code.textContent = command;
      pre.removeAttribute("aria-busy");
      show(pausing, false);
      show(copy, true);
    },
    waiting() {
      code.textContent = "…";
      timer.textContent = "";
      pre.setAttribute("aria-busy", "true");
    },
    /** Nobody does anything, or a new command did not come: then `error` says why. */
    paused(error) {
      why.textContent = error ? say("gpg.not_renewed") : say("gpg.paused");
      pre.removeAttribute("aria-busy");
      timer.textContent = "";
      show(pausing, true);
      show(copy, false);
    },
    timer: (words) => { timer.textContent = words; },
    focus: () => copy.focus(),
  };
}

/** What gpg printed: typed, pasted, chosen or dropped. */
export function answerField({ onText, onSend, onFile, send = say("gpg.send"), sending = say("login.sending") }) {
  const field = el("textarea", {
    id: "signature", class: "mono", rows: 5, spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    placeholder: "-----BEGIN PGP SIGNATURE-----", "aria-describedby": "signature-trouble signature-hint",
  });
  const trouble = el("p", { class: "field-trouble", id: "signature-trouble", role: "alert" });
  const button = el("button", { class: "lead wide" }, send);
  const status = el("p", { class: "quiet", role: "status" });
  field.addEventListener("input", onText);
  // A signature that is pasted takes the place of the one before: nobody wants both.
  field.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text") ?? "";
    if (!armoredBlocks(field.value).signatures.length || !armoredBlocks(text).signatures.length) return;
    event.preventDefault();
    field.value = text;
    onText();
  });
  const complain = (words) => {
    trouble.textContent = words;
    if (words) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  };
  const form = el("form", { novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    onSend();
  } },
  el("label", { for: "signature", class: "unseen" }, say("gpg.signature")), field, trouble,
  el("p", { class: "hint", id: "signature-hint" }, say("gpg.hint")),
  el("div", { class: "row" }, button, fileButton(say("gpg.file"), onFile, complain)), status);
  return {
    element: form,
    value: () => field.value,
    set: (text) => { field.value = text; },
    complain,
    busy(isBusy) {
      status.textContent = isBusy ? sending : "";
      setBusy(button, isBusy);
    },
  };
}
