// Building a page out of elements. Text is only ever text: nothing here turns a string into markup.

/** The settings that the server put into the page. */
export const settings = JSON.parse(document.body.dataset.settings);

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/**
 * An element: `el("a", { href: "/", class: "plain", onclick: f }, "text", another)`. Functions become listeners, `true` an
 * attribute without a value; `null`, `undefined` and `false` are left out, among the children too.
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Says that a button is busy. It is not disabled for that: whoever pressed it would lose the place where they are. */
export function setBusy(button, isBusy = true) {
  if (isBusy) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
}

/** Whether `setBusy` said so: then a press is none. */
export const isBusy = (button) => button.getAttribute("aria-disabled") === "true";

/** Shows one of several elements. */
export function show(element, shown = true) {
  element.hidden = !shown;
}
