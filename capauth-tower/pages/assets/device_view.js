// What the desktop shows while another device signs: the picture and the code, the key that waits, the end.

import { el, isBusy, setBusy } from "./dom.js";
import { clock, grouped } from "./figures.js";
import { copyButton } from "./gives.js";
import { say, say_with } from "./words.js";

/** The panel. It shows one thing at a time, and says news aloud. */
export class DeviceView {
  #news = el("p", { class: "quiet", role: "status" });
  #body = el("div");
  #left = null;
  element;

  constructor(...above) {
    this.element = el("div", { class: "device" }, ...above, this.#body, this.#news);
  }

  /** News, for eyes and ears. */
  says(words) {
    if (this.#news.textContent !== words) this.#news.textContent = words;
  }

  /** The person works in this panel, or nowhere: the focus may be moved. */
  #mayFocus() {
    return document.activeElement === document.body || this.element.contains(document.activeElement);
  }

  #show(...children) {
    this.#body.replaceChildren(...children);
    this.#left = null;
  }

  /** Nothing is there yet. */
  begins() {
    this.#show();
    this.says(say("device.begins"));
  }

  /** The picture, the code, the link. @param {object} asked the answer to `qr-challenge` */
  code({ service, qr_data_url, qr_url, code }) {
    const picture = qr_data_url
      ? el("img", { class: "qr", src: qr_data_url, alt: say_with("device.picture", { service }) })
      : el("p", { class: "warning" }, say("device.no_picture"));
    const digits = el("p", { class: "digits", role: "img", "aria-label": say_with("device.code", { code: grouped(code, 1) }) },
      grouped(code, 3));
    const wasFocused = this.#body.contains(document.activeElement);
    const wasOpen = this.#body.querySelector("details")?.open;
    const left = el("p", { class: "timer" });
    this.#show(
      el("p", {}, say_with("device.site", { service })),
      el("ol", { class: "steps" },
        el("li", {}, el("p", {}, say("device.scan")), picture),
        el("li", {}, el("p", {}, say("device.type")), digits),
        el("li", {}, el("p", {}, say("device.sign")))),
      left,
      link(qr_url, wasOpen));
    this.#left = left;
    if (wasFocused) this.#focus(this.#body.querySelector("summary"));
  }

  /** For how long the code is still good. Not said aloud: it changes every second. */
  left(milliseconds) {
    if (this.#left) this.#left.textContent = say_with("device.left", { time: clock(milliseconds) });
  }

  /** A key that signed without the code: is it theirs? `decide` hears true or false. */
  confirm(fingerprint, decide) {
    const buttons = [
      el("button", { type: "button", class: "lead", onclick: () => choose(true) }, say("device.confirm_yes")),
      el("button", { type: "button", onclick: () => choose(false) }, say("device.confirm_no")),
    ];
    const choose = (isTheirs) => {
      if (buttons.some(isBusy)) return;
      for (const button of buttons) setBusy(button);
      decide(isTheirs);
    };
    const title = el("h3", { tabindex: "-1" }, say("device.confirm_title"));
    const left = el("p", { class: "timer" });
    this.#show(
      title,
      el("p", {}, say("device.confirm")),
      el("p", { class: "whole-key mono", translate: "no" }, grouped(fingerprint, 4)),
      el("div", { class: "row" }, buttons),
      left);
    this.#left = left;
    this.says(say("device.confirm_news"));
    this.#focus(title);
  }

  /** It came to nothing, for this reason in words. */
  ended(words, again) {
    const button = el("button", { type: "button", class: "lead wide", onclick: again }, say("device.new_code"));
    this.says("");
    this.#show(el("div", { class: "trouble", role: "alert" }, el("p", {}, words)), button);
    this.#focus(button);
  }

  /** Signed in: the page is about to be left. */
  done() {
    this.#show();
    this.says(say("device.done"));
  }

  #focus(element) {
    if (this.#mayFocus()) element?.focus();
  }
}

/** The link, for whoever has no camera at hand. */
function link(address, open) {
  const field = el("input", { id: "device-link", readonly: true, value: address, class: "mono", autocomplete: "off", translate: "no" });
  const copy = copyButton(() => address, { words: say("device.copy"), failed: () => field.select() });
  return el("details", { open },
    el("summary", {}, say("device.no_camera")),
    el("p", {}, say("device.link_hint")),
    el("label", { for: "device-link" }, say("device.link")),
    field,
    el("div", { class: "row" }, copy));
}
