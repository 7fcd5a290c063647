// What the page says: the words that all pages have, and those that a page of its own adds before it says any.

import words from "./words.en.js";

/** Adds words of a page's own. */
export const learn = (more) => Object.assign(words, more);

/** What stands under this name. */
export const say = (name) => words[name] ?? name;

/** The same, with values in the place of `{braces}`. */
export const say_with = (name, values) => say(name).replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

/** Words for one of the protocol's errors that say what to do next; the server's own where this file has none. */
export function sayError({ error, error_description }) {
  return words[`error.${error}`] ?? error_description ?? say("error.none");
}
