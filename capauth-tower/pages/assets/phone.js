// The page that a phone's camera opens. It shows who asks, takes the code that the other device shows, signs with whatever
// holds a key here, and sends the answer to the one place that was looked at.

import { post, Refused } from "./api.js";
import { el, settings } from "./dom.js";
import { clock } from "./figures.js";
import * as view from "./phone_view.js";
import { scanned, SLACK } from "./scanned.js";
import { troubleBox } from "./trouble.js";
import { ways } from "./ways.js";
import { whoIs } from "./who.js";
import { say, say_with } from "./words.js";

/** Ways to sign that send nobody to yet another device. */
const OWN = ways.filter((way) => way.id !== "device");

/** The key did not sign anybody in, and a screen says why: for ways, which are to know the first. */
const SHOWN = new Refused("shown", "");

/** Why there is nothing to sign. */
const WRONG = {
  none: [say("phone.none_title"), say("phone.none")],
  broken: [say("phone.broken_title"), say("phone.broken")],
  elsewhere: [say("phone.elsewhere_title"), say("phone.elsewhere")],
  expired: [say("phone.expired_title"), say("phone.expired")],
};

/** One login that is asked for, from the scan to its end. */
class Answering {
  #asked;
  #login;
  #code = "";
  #declines = false;
  /** What was signed last. It stays good when the code was not. */
  #signed = null;
  #signedBy = null;
  #way = null;
  #isOver = false;
  #isSending = false;
  #who = whoIs();
  /** The key that the open way signs with, where it says so. */
  #signer = "";
  #share;
  #trouble;
  #timer = el("p", { class: "timer" });
  #seconds;

  constructor(asked) {
    this.#asked = asked;
    const changed = () => this.#way?.changed?.();
    this.#share = view.sharingPart(asked.service, this.#who.remembers, changed);
    this.#share.person(this.#who.fingerprint());
    this.#who.forgotten = () => this.#share.forget();
    this.#who.changed = () => {
      this.#signs(this.#signer);
      changed();
    };
    this.#trouble = troubleBox({ again: () => this.#again(), wait: () => {} });
    this.#login = this.#asLogin(challengesOf(asked));
    this.#seconds = setInterval(() => this.#tick(), 1000);
    this.#askForCode();
    this.#tick();
  }

  /** The login as ways to sign see it. @returns {import("./ways.js").Login} */
  #asLogin(pool) {
    return {
      service: this.#asked.service,
      pool,
      who: this.#who,
      fingerprint: () => this.#who.fingerprint(),
      challenge: async (fingerprint) => (await pool.current(fingerprint)).challenge,
      claims: (fingerprint) => (this.#declines ? {} : this.#share.claims(fingerprint)),
      signer: (fingerprint) => this.#signs(fingerprint),
      extras: () => this.#trouble.extras(),
      takeKey: (armored) => this.#trouble.takeKey(armored),
      trouble: (what) => {
        if (what !== SHOWN) this.#trouble.show(what, this.#signed?.fingerprint ?? this.#who.fingerprint());
      },
      answer: async (given) => {
        this.#signed = given;
        this.#signedBy = this.#way?.id ?? null;
        if (!(await this.#send())) throw SHOWN;
      },
    };
  }

  /** What is shared is what the owner of the key chose that signs. */
  #signs(fingerprint) {
    this.#signer = fingerprint;
    this.#share.person(fingerprint || this.#who.fingerprint());
  }

  #tick() {
    const { timestamp, expires } = this.#asked;
    const left = Date.parse(expires) - Date.now();
    // A clock that is off says nothing about how long the code is good.
    const isRight = left > 0 && left <= Date.parse(expires) - Date.parse(timestamp);
    this.#timer.textContent = isRight ? say_with("phone.left", { time: clock(left) }) : "";
    if (left + SLACK <= 0 && !this.#isSending) this.#finish(...WRONG.expired);
  }

  /** Nothing goes on after this. */
  #finish(heading, words) {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#seconds);
    this.#leave();
    view.finalScreen(heading, words);
  }

  /** The way to sign that was open is not any more. */
  #leave(next = null) {
    this.#way?.close?.();
    this.#signs("");
    this.#way = next;
    this.#trouble.clear();
  }

  #askForCode(wrong = "") {
    this.#leave();
    view.codeScreen({
      asked: this.#asked, timer: this.#timer, declines: this.#declines, code: this.#code, wrong,
      type: (text) => this.#type(text),
      turn: () => {
        this.#declines = !this.#declines;
        this.#askForCode();
      },
    });
  }

  async #type(text) {
    this.#code = text.replace(/\D/g, "");
    if (this.#code.length !== 6) return this.#askForCode(say("phone.code_missing"));
    if (this.#signed) return this.#again();
    await this.#choose();
  }

  /** Opens a way to sign: the one that is meant, or the first that is there. */
  async #choose(wanted) {
    const there = await Promise.all(OWN.map((way) => way.isThere(this.#login).catch(() => false)));
    if (this.#isOver) return;
    const found = OWN.filter((_, place) => there[place]);
    const way = wanted ?? found[0];
    this.#leave(way);
    const panel = view.signScreen({
      asked: this.#asked, timer: this.#timer, declines: this.#declines, code: this.#code, ways: found, way,
      share: this.#share.element, trouble: this.#trouble.element, memory: this.#who.memory,
      choose: (other) => this.#choose(other),
      back: () => this.#askForCode(),
    });
    panel.append(way.open(this.#login));
  }

  /** Sends what was signed once more, with what the person typed since. */
  async #again() {
    this.#trouble.clear();
    try {
      if (this.#signed) await this.#send();
    } catch (error) {
      if (!this.#way) await this.#choose();
      this.#login.trouble(error);
    }
  }

  /** Sends what was signed; answers whether that signed somebody in. Throws what is to be said beside the way to sign. */
  async #send() {
    if (this.#isOver || this.#isSending) return false;
    this.#isSending = true;
    const body = { ...this.#trouble.extras(), ...this.#signed, code: this.#code };
    if (this.#declines) body.decline = true;
    try {
      const { authenticated } = await post(this.#asked.callback, body);
      if (authenticated) {
        this.#who.succeeded(this.#signed.fingerprint, this.#signedBy);
        this.#share.succeeded(this.#signed.fingerprint);
        this.#finish(say("phone.done_title"), say("phone.done"));
      } else if (this.#declines) this.#finish(say("phone.declined_title"), say("phone.declined"));
      else this.#finish(say("phone.waits_title"), say("phone.waits"));
      return authenticated;
    } catch (error) {
      if (!this.#isOver) this.#refused(error);
      return false;
    } finally {
      this.#isSending = false;
    }
  }

  #refused(error) {
    const code = error instanceof Refused ? error.code : "";
    if (code === "invalid_code") this.#askForCode(say("phone.code_wrong"));
    else if (code === "expired_nonce") this.#finish(...WRONG.expired);
    else if (code === "invalid_nonce") this.#finish(say("phone.ended_title"), say("phone.ended"));
    else throw error;
  }
}

/** There is one challenge, whoever answers it: it is not renewed here, and never half gone. */
function challengesOf({ nonce, client_nonce_echo, origin, timestamp, service, expires }) {
  const challenge = { nonce, client_nonce_echo, origin, timestamp, service, expires, server_signature: "", server_public_key: "" };
  const [said, now] = [Date.parse(expires), Date.now()];
  // What is shown: no longer than it lives, and all of that where this device's clock is so far ahead that it would be over.
  const whole = now + said - Date.parse(timestamp);
  const ends = said > now ? Math.min(said, whole) : whole;
  const kept = new Map();
  const one = (fingerprint) => {
    if (!kept.has(fingerprint)) kept.set(fingerprint, { challenge, fingerprint, began: ends, ends, claims: {}, copied: false });
    return kept.get(fingerprint);
  };
  const lives = (it) => it === nonce && Date.now() < said + SLACK;
  return {
    fresh: async (fingerprint) => one(fingerprint),
    current: async (fingerprint) => one(fingerprint),
    living: (fingerprint) => (lives(nonce) ? [one(fingerprint)] : []),
    copied: (fingerprint) => [one(fingerprint)].filter((it) => it.copied),
    lives,
    drop() {},
  };
}

function begin() {
  const text = location.hash.slice(1);
  // What was asked is nobody's business later: it stays in no history.
  history.replaceState(null, "", location.pathname + location.search);
  view.begin();
  const { asked, wrong } = scanned(text, settings.service);
  if (wrong) view.finalScreen(...WRONG[wrong]);
  else new Answering(asked);
}

// Another code that comes to the same page: from the beginning, with nothing of the one before.
addEventListener("hashchange", () => { if (location.hash) location.reload(); });
begin();
