// Signing with gpg on this computer: a command to copy, and a field for what it prints.

import { Refused } from "./api.js";
import { renewal } from "./challenge.js";
import { el, show } from "./dom.js";
import { takesDrops } from "./gives.js";
import { answerField, commandBox } from "./gpg_fields.js";
import { canonical } from "./payload.js";
import { armoredBlocks, signingCommand } from "./shell.js";
import { say, say_with } from "./words.js";

/** Refusals that may mean that the signature is over another of the page's challenges. */
const OVER_ANOTHER = new Set(["invalid_nonce_signature", "unknown_fingerprint"]);

/** The panel, once for the page: what was typed stays in it. */
let panel = null;

/** What ways.js opens. */
export const gpg = {
  open(login) {
    panel ??= new Panel(login);
    panel.open();
    return panel.element;
  },
  close: () => panel?.close(),
  changed: () => panel?.changed(),
  again: () => panel?.again(),
};

class Panel {
  #login;
  #renewal = null;
  #shown = null;
  #sending = false;
  #tried = "";
  /** Whether what was sent last may have been over another challenge than the one that it was sent for. */
  #isUnsure = false;
  #withKey = false;

  constructor(login) {
    this.#login = login;
    this.who = el("div", {});
    this.command = commandBox({
      onShell: () => this.#goOn(),
      text: () => this.#copy(),
      onTaken: () => this.#taken(),
      onGo: () => this.#renewal?.go(),
      onWithKey: (wanted) => {
        this.#withKey = wanted;
        this.#goOn();
      },
    });
    this.field = answerField({ onText: () => this.#read(false), onSend: () => this.#read(true), onFile: (text) => this.#take(text) });
    this.steps = el("ol", { class: "steps" },
      el("li", {}, el("h3", {}, say("gpg.run")), this.command.element),
      el("li", {}, el("h3", {}, say("gpg.paste")), this.field.element));
    this.element = el("div", { class: "gpg" }, this.who, this.steps);
    takesDrops(this.element, (text) => this.#take(text), (words) => this.field.complain(words));
  }

  open() {
    this.who.append(this.#login.who.element);
    this.#begin();
  }

  close() {
    this.#renewal?.stop();
    this.#renewal = null;
  }

  /** Another person, or other claims. */
  changed() {
    if (!this.element.isConnected) return;
    if (this.#renewal && this.#renewal.fingerprint === this.#login.fingerprint()) {
      this.#goOn();
    } else {
      this.#begin();
    }
  }

  /** A new signature is wanted, and what the server asked for is there. */
  again() {
    if (this.#isUnsure) return this.#read(true);
    this.#begin();
    this.command.focus();
  }

  /** The server does not know the key: the next command prints it as well. */
  wantKey() {
    this.#withKey = true;
    this.command.setWithKey(true);
    this.#goOn();
  }

  /** Another command is wanted: whoever wants one is there, and it lives, also when the page had given up waiting. */
  #goOn() {
    this.#renewal?.go();
    this.#draw();
  }

  #begin() {
    this.close();
    const fingerprint = this.#login.fingerprint();
    show(this.steps, Boolean(fingerprint));
    if (!fingerprint) return;
    const [newest] = this.#login.pool.living(fingerprint);
    if (newest) {
      this.#show(newest);
    } else {
      this.#shown = null;
      this.command.waiting();
    }
    this.#renewal = Object.assign(renewal({
      pool: this.#login.pool,
      fingerprint,
      onFresh: (one) => this.#show(one),
      onTick: () => this.#tick(),
      onPause: (error) => {
        this.command.paused(error);
        if (error) this.#login.trouble(error);
      },
    }), { fingerprint });
    this.#renewal.go();
  }

  #show(one) {
    // What somebody is about to copy by hand is left alone until they let go of it.
    if (this.#shown && this.command.isSelected() && this.#login.pool.lives(this.#shown.challenge.nonce)) return;
    this.#shown = one;
    this.#draw();
  }

  #commandFor(one) {
    const claims = this.#login.claims();
    const { challenge, fingerprint } = one;
    return { claims, text: signingCommand(this.command.shell(), { challenge, fingerprint, claims, withKey: this.#withKey }) };
  }

  #draw() {
    if (!this.#shown || this.#shown.fingerprint !== this.#login.fingerprint()) return;
    const { text } = this.#commandFor(this.#shown);
    if (text === null) return this.#login.trouble(say("gpg.not_plain"));
    this.command.draw(text);
    this.#tick();
  }

  /** What the button copies: with more than half of its time left, whatever is shown. */
  async #copy() {
    const one = await this.#login.pool.current(this.#login.fingerprint());
    this.#shown = one;
    this.#draw();
    const { text } = this.#commandFor(one);
    if (text === null) throw new Error("not plain");
    return text;
  }

  #taken() {
    const one = this.#shown;
    if (!one) return;
    one.copied = true;
    one.claims = this.#login.claims();
    this.#renewal?.touch();
    this.#tick();
  }

  #tick() {
    const copied = this.#login.pool.copied(this.#login.fingerprint())[0];
    const [newest] = this.#login.pool.living(this.#login.fingerprint());
    if (newest && newest !== this.#shown) this.#show(newest);
    const one = copied ?? this.#shown;
    if (!one) return;
    const seconds = Math.max(0, Math.floor((one.ends - Date.now()) / 1000));
    if (copied && seconds === 0) this.command.timer(say("gpg.copied_old"));
    else this.command.timer(copied ? say_with("gpg.copied_left", { seconds }) : say_with("gpg.left", { seconds }));
  }

  /** What came out of a file or was dropped: all that will come of it, so that what is wrong with it is said. */
  #take(text) {
    this.field.set(text);
    this.#read(true);
  }

  /** Reads what stands in the field, and sends it once it is whole. */
  #read(isAsked) {
    if (!isAsked && !this.field.value().trim()) return;
    const blocks = armoredBlocks(this.field.value());
    if (blocks.hasSecret) {
      this.field.set("");
      return this.field.complain(say("login.secret_key"));
    }
    this.field.complain("");
    if (blocks.keys.length) this.#login.takeKey(blocks.keys.at(-1));
    const plan = this.#plan(blocks);
    if (plan.words) {
      if (isAsked || plan.isCertain) this.field.complain(plan.words);
      return;
    }
    const what = JSON.stringify([plan.answers, this.#login.extras()]);
    if (!isAsked && (what === this.#tried || !blocks.isWhole)) return;
    this.#tried = what;
    this.#send(plan.answers);
  }

  /**
   * What to send, the likeliest first: an answer to the challenge whose command was copied; where none was, to those that
   * live. Or words that say what is missing.
   */
  #plan({ signatures, keys }) {
    const fingerprint = this.#login.fingerprint();
    if (!fingerprint) return { words: say("login.fingerprint_empty") };
    if (!signatures.length) return { words: keys.length ? say("gpg.no_signature_but_key") : say("gpg.no_signature") };
    const living = this.#login.pool.living(fingerprint);
    const copied = this.#login.pool.copied(fingerprint);
    const candidates = copied.length ? living.filter((one) => one.copied) : living;
    if (!candidates.length) return { words: say("gpg.too_late"), isCertain: true };
    const now = this.#login.claims();
    const answers = candidates.map((one) => answerTo(one, { fingerprint, signatures, now }));
    const good = answers.filter((answer) => typeof answer !== "string");
    return good.length ? { answers: good } : { words: answers[0], isCertain: answers[0] === say("gpg.claims_changed") };
  }

  async #send(answers) {
    if (this.#sending) return;
    this.#sending = true;
    this.#isUnsure = false;
    this.field.busy(true);
    this.#login.trouble("");
    try {
      await this.#oneOf(answers);
    } catch (error) {
      if (error.code === "unknown_fingerprint") this.wantKey();
      // Which one was signed is not known yet: trying again tries all of them, and not the last alone. What is said anew is no
      // answer to the last, so that the page does not send that by itself.
      this.#isUnsure = answers.length > 1 && error instanceof Refused && this.#login.pool.lives(error.over);
      this.#login.trouble(this.#isUnsure ? new Refused(error.code, error.message, error) : error);
    } finally {
      this.#sending = false;
      this.field.busy(false);
    }
  }

  async #oneOf(answers) {
    for (const [at, answer] of answers.entries()) {
      try {
        return await this.#login.answer(answer);
      } catch (error) {
        if (error instanceof Refused) error.over = answer.nonce;
        const isLast = at === answers.length - 1;
        if (isLast || !(error instanceof Refused) || !OVER_ANOTHER.has(error.code)) throw error;
      }
    }
  }
}

/** The answer to one challenge, or words that say why there is none. */
function answerTo({ challenge, claims: then, copied }, { fingerprint, signatures, now }) {
  const asked = copied ? then : now;
  const expected = Object.keys(asked).length ? 2 : 1;
  const [login, about] = signatures.slice(-expected);
  const answer = { fingerprint, nonce: challenge.nonce, nonce_signature: login };
  if (!Object.keys(now).length) return answer;
  // What is signed is what was chosen when the command was copied. Less than that may be sent: nothing.
  if (canonical(now) !== canonical(asked)) return say("gpg.claims_changed");
  if (!about) return say("gpg.one_of_two");
  return { ...answer, claims: now, claims_signature: about };
}
