// Signing with another device: this page shows a picture and a code, and goes on by itself once somebody signed there.

import { Refused, post } from "./api.js";
import { DeviceView } from "./device_view.js";
import { el, settings, show } from "./dom.js";
import { isForThisPage, loginPayload } from "./payload.js";
import { QrLogin } from "./qr_status.js";
import { say } from "./words.js";

/** How often a code that nobody used is renewed by itself. */
const RENEWALS = 4;

/** Why it came to nothing, in words. */
const ENDS = {
  time: say("device.ended_time"),
  declined: say("device.ended_declined"),
  wrong_code: say("device.ended_wrong_code"),
  refused: say("device.ended_refused"),
  fetched: say("device.ended_fetched"),
  lost: say("device.ended_lost"),
};

/** One panel, from when it is opened until it is left. */
class Panel {
  #left = new AbortController();
  #view;
  #login;
  #claims = el("p", { class: "note", hidden: true }, say("device.claims"));
  /** What is said while nothing happens. */
  #waits = "";

  constructor(login) {
    this.#login = login;
    this.#view = new DeviceView(forAdministrators(), this.#claims);
    this.element = this.#view.element;
    this.changed();
    this.#run();
  }

  /** What the person shares here, they do not share there. */
  changed() {
    show(this.#claims, Object.keys(this.#login.claims()).length > 0);
  }

  close() {
    this.#left.abort();
  }

  /** Shows one code after another until something comes of it. */
  async #run() {
    const again = () => this.#run();
    this.#view.begins();
    try {
      let end = { reason: "time" };
      for (let codes = 0; end.reason === "time" && codes <= RENEWALS; codes += 1) {
        end = await this.#show(codes > 0);
        if (this.#left.signal.aborted) return;
      }
      if (end.redirect === undefined) return this.#view.ended(end.words ?? ENDS[end.reason] ?? ENDS.refused, again);
      this.#view.done();
      go(end.redirect);
    } catch (error) {
      if (this.#left.signal.aborted) return;
      this.#view.ended(error instanceof Refused ? error.message : say("error.none"), again);
    }
  }

  /** Shows one code, and answers how that ended: `{ redirect }`, or `{ reason, words }`. */
  async #show(isRenewed) {
    const { signal } = this.#left;
    const asked = await post("qr-challenge", { origin: location.origin });
    await check(asked, this.#login.service);
    if (signal.aborted) return {};
    const login = new QrLogin(asked, signal);
    this.#view.code(asked);
    this.#waits = isRenewed ? say("device.renewed") : say("device.waits");
    this.#view.says(this.#waits);
    const tick = () => this.#view.left(login.left);
    tick();
    const timer = setInterval(tick, 1000);
    try {
      return await this.#follow(login, asked);
    } finally {
      clearInterval(timer);
    }
  }

  async #follow(login, asked) {
    let waiting = null;
    let deciding = Promise.resolve();
    let words;
    const decide = async (isTheirs) => {
      const fingerprint = waiting;
      words = undefined;
      try {
        await login.decide(isTheirs ? { confirm: true, fingerprint } : { confirm: false });
      } catch (error) {
        // What becomes of it, the status says; why, is said here.
        words = error.message;
        if (waiting !== fingerprint) return;
        this.#view.confirm(fingerprint, choose);
        this.#view.says(words);
      }
    };
    const choose = (isTheirs) => { deciding = decide(isTheirs); };
    for await (const { status, reason, fingerprint = null } of login.statuses()) {
      const was = waiting;
      if (status === "unreachable") {
        this.#view.says(say("device.unreachable"));
        continue;
      }
      waiting = fingerprint;
      if (status === "authenticated") return this.#fetch(login);
      if (status === "expired") {
        waiting = null;
        await deciding;
        return { reason, words: reason === "refused" ? words : undefined };
      }
      if (waiting && waiting !== was) this.#view.confirm(waiting, choose);
      else if (was && !waiting) this.#view.code(asked);
      if (!waiting) this.#view.says(was ? say("device.refused_one") : this.#waits);
      this.#view.left(login.left);
    }
    return {};
  }

  async #fetch(login) {
    const answer = await login.fetch(settings.redirect, () => this.#view.says(say("device.unreachable")));
    if (answer.ok !== true) return { reason: answer.reason };
    if (typeof answer.fingerprint === "string") this.#login.who?.succeeded(answer.fingerprint, "device");
    return { redirect: answer.redirect ?? "/" };
  }
}

/** Looks at what the server answered before any of it is shown. Throws `Refused`. */
async function check(asked, service) {
  const isLink = typeof asked.qr_url === "string" && asked.qr_url.startsWith(`${new URL("qr", location.href).href}#`);
  const isPicture = asked.qr_data_url === "" || /^data:image\/png;base64,[A-Za-z0-9+/=]+$/.test(asked.qr_data_url);
  if (!isForThisPage(asked, service) || !isLink || !isPicture || !/^\d{6}$/.test(asked.code)) {
    throw new Refused("none", say("device.elsewhere"));
  }
  const { server_signature: signature, server_public_key: certificate } = asked;
  if (!settings.server && !signature) return;
  const { serverSigned } = await import("./keys.js");
  const payload = loginPayload(asked);
  const isSigned = signature && await serverSigned({ payload, signature, certificate, fingerprint: settings.server });
  if (isSigned !== true) throw new Refused("none", say("device.unsigned"));
}

/** Leaves the page for a path of this site. */
function go(redirect) {
  const address = new URL(typeof redirect === "string" ? redirect : "/", location.origin);
  location.replace(address.origin === location.origin ? address : "/");
}

/** A sign-in by another device does not administer: better said before than after. */
function forAdministrators() {
  const administration = new URL("../../capauth/admin", location.href).pathname;
  const isTheirs = new URL(settings.redirect, location.origin).pathname.startsWith(administration);
  return isTheirs ? el("p", { class: "warning" }, say("device.administrators")) : null;
}

let panel = null;

/** What ways.js opens. */
export const anotherDevice = {
  open(login) {
    login.trouble("");
    panel?.close();
    panel = new Panel(login);
    return panel.element;
  },
  changed: () => panel?.changed(),
  close() {
    panel?.close();
    panel = null;
  },
};
