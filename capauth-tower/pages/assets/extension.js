// Signing with an extension of the browser: three ways in which one may show itself, in this order: `window.capauth`,
// `window.capAuthExtension`, and messages to the window. The extension signs the second version of the payload.

import { el, isBusy, setBusy, show } from "./dom.js";
import { say, say_with } from "./words.js";
import { readFingerprint, shortened } from "./who.js";

/** How long an extension may think about a question that needs nobody's consent, in milliseconds. */
const MOMENT = 3000;

/** How long the page waits to hear that one is there, and how long it goes on listening. */
const GLANCE = 120;
const LATE = 5000;

/** What tells the page that an extension is there. */
const READY = "capauth:extension:ready";

/** More than any armored signature. */
const LONGEST = 64 * 1024;

/** What an extension did not do, in words for the person. */
class Declined extends Error {}

/** What an extension answered instead of a signature. */
class Answered extends Error {}

const isFunction = (it) => typeof it === "function";

/** What signs here now, if anything does. */
function provider() {
  try {
    if (isFunction(window.capauth?.signChallenge)) return shipped(window.capauth);
    if (isFunction(window.capAuthExtension?.signChallenge)) return early(window.capAuthExtension);
  } catch {
    // One that cannot even be looked at.
  }
  return messages.isThere ? byMessage : null;
}

/** `window.capauth`: says who signed, and for which origin. */
const shipped = (extension) => ({
  namesKey: isFunction(extension.getFingerprint),
  fingerprint: () => (isFunction(extension.getFingerprint) ? extension.getFingerprint() : ""),
  async sign(challenge) {
    const answer = await extension.signChallenge({ ...challenge });
    const { signature, fingerprint, origin } = typeof answer === "string" ? { signature: answer } : (answer ?? {});
    if (origin !== undefined && origin !== location.origin) throw new Declined(say("extension.other_origin"));
    return { signature, signer: fingerprint === undefined ? "" : readFingerprint(fingerprint) || "?" };
  },
});

/** `window.capAuthExtension`: says whose it is, then signs. */
const early = (extension) => ({
  namesKey: true,
  fingerprint: () => extension.getFingerprint(),
  sign: async (challenge) => ({ signature: await extension.signChallenge({ ...challenge }), signer: "" }),
});

/** Messages between the page and a script that the extension put beside it. */
const byMessage = {
  namesKey: false,
  fingerprint: () => "",
  sign: async (challenge, signal) => ({ signature: await messages.ask(challenge, signal), signer: "" }),
};

const messages = {
  isThere: false,
  /** Sends a challenge; what comes back is an answer to this very request, or none. */
  ask(challenge, signal) {
    const requestId = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      const hear = (event) => {
        if (event.source !== window || event.origin !== location.origin) return;
        const told = event.data;
        if (told === null || typeof told !== "object" || told.requestId !== requestId) return;
        if (told.type === "CAPAUTH_SIGN_RESPONSE") resolve(told.signature);
        else if (told.type === "CAPAUTH_SIGN_ERROR") reject(new Answered(String(told.error)));
        else return;
        removeEventListener("message", hear);
      };
      signal?.addEventListener("abort", () => {
        removeEventListener("message", hear);
        reject(new Error("nobody answered"));
      });
      addEventListener("message", hear);
      postMessage({ type: "CAPAUTH_SIGN_REQUEST", requestId, challenge, serviceUrl: location.origin }, location.origin);
    });
  },
  /** Asks for nothing to be signed: whoever listens says no at once, and so that it is there. */
  async look(time) {
    if (messages.isThere) return;
    let isLate = false;
    const asked = messages.ask({}, AbortSignal.timeout(LATE)).then(() => true, (error) => error instanceof Answered);
    const heard = asked.then((isThere) => {
      if (!isThere || messages.isThere) return;
      messages.isThere = true;
      // The page looked already: it hears of this one as of those that say themselves when they are there.
      if (isLate) dispatchEvent(new Event(READY));
    });
    await Promise.race([heard, new Promise((done) => { setTimeout(done, time); })]);
    isLate = true;
  },
};
addEventListener(READY, () => { messages.isThere = true; });

/** What is promised, or a refusal after so long. */
function within(time, promise, words) {
  let timer;
  const end = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Declined(words)), time);
  });
  return Promise.race([promise, end]).finally(() => clearTimeout(timer));
}

/** Whom the extension signs for: it says so, or the page knows, or nobody does. */
async function whom(signer, login) {
  let said = "";
  try {
    said = readFingerprint(await within(MOMENT, Promise.resolve(signer.fingerprint()), ""));
  } catch {
    // It does not say: then the person does.
  }
  return said || login.fingerprint();
}

/** One signature, looked at. */
async function signed(signer, login, fingerprint) {
  const challenge = await login.challenge(fingerprint);
  const life = Math.max(Date.parse(challenge.expires) - Date.parse(challenge.timestamp), 5000);
  const giveUp = new AbortController();
  let answer;
  try {
    answer = await within(life, signer.sign(challenge, giveUp.signal), say("extension.silent"));
  } catch (error) {
    if (error instanceof Declined) throw error;
    const reason = String(error?.message ?? error).slice(0, 200);
    throw new Declined(say_with("extension.declined", { reason }));
  } finally {
    giveUp.abort();
  }
  const { signature, signer: other } = answer;
  const isOne = typeof signature === "string" && signature.length <= LONGEST && signature.includes("-----BEGIN PGP ");
  if (!isOne) throw new Declined(say("extension.no_signature"));
  if (other && other !== fingerprint) {
    if (other === "?") throw new Declined(say("extension.no_signature"));
    login.who?.set(other);
    throw new Declined(say_with("extension.other_key", { fingerprint: shortened(other) }));
  }
  return { fingerprint, nonce: challenge.nonce, nonce_signature: signature };
}

/** @type {import("./ways.js").Way} */
export const extension = {
  id: "extension",
  title: say("extension.title"),
  async isThere() {
    if (!provider()) await messages.look(GLANCE);
    return provider() !== null;
  },
  open(login) {
    const button = el("button", { class: "lead wide", type: "button" }, say("extension.sign"));
    const status = el("p", { class: "quiet", role: "status" });
    const who = el("div", {});
    const nothing = el("p", { class: "note", hidden: true }, say("extension.claims"));
    const element = el("div", {}, el("p", {}, say("extension.hint")), who, nothing, button, status);
    // Whose key it is, the person says where the extension does not; and may say anew.
    const isAsked = !provider()?.namesKey;
    if (isAsked) who.append(login.who.element);
    extension.changed = () => {
      show(nothing, Object.keys(login.claims()).length > 0);
      button.classList.toggle("lead", !isAsked || Boolean(login.fingerprint()));
    };
    extension.changed();
    let run = 0;
    extension.close = () => {
      run += 1;
      setBusy(button, false);
      status.textContent = "";
    };

    async function sign() {
      if (isBusy(button)) return;
      const mine = ++run;
      login.trouble("");
      setBusy(button);
      status.textContent = say("extension.waiting");
      try {
        const signer = provider();
        if (!signer) throw new Declined(say("extension.gone"));
        const fingerprint = await whom(signer, login);
        if (!fingerprint) {
          who.append(login.who.element);
          return login.who.ask(say("extension.whose"));
        }
        const answer = await signed(signer, login, fingerprint);
        if (mine === run) await login.answer(answer);
      } catch (error) {
        if (mine === run) login.trouble(error);
      } finally {
        if (mine === run) {
          setBusy(button, false);
          status.textContent = "";
        }
      }
    }
    button.addEventListener("click", sign);
    return element;
  },
};
